"""The first screen of a case: one sentence with names, what is in the way, what came before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from approvals.choices import DONE, ENDED, State
from approvals.inspection import reveal
from approvals.models import ActionRequest
from approvals.selectors.evidence_view import PolicyShown, RuleShown, Source
from approvals.selectors.facts_to_confirm import FactToConfirm, facts_of
from approvals.selectors.request_view import RequestView
from connectors.catalogue import Verb
from policies.evaluate import ENGINE

_PAST = 3
_NAMES = ("name", "displayName", "bank_account_holder")
_TITLED = ("Customer", "Vendor", "Account", "User")
"""How connectors title what they read about somebody: "Vendor acct_5001"."""
_GOOD = frozenset({State.VERIFIED, State.AUDITED, State.EXECUTED})


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """What became of an earlier request about the same customer or vendor."""

    pk: UUID
    effect: str
    state: str
    is_good: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class ReasonCard:
    """A rule that asked for people, and the values that made it, where it was one that decided."""

    reason: str
    rule: RuleShown | None
    fact: FactToConfirm | None


@dataclass(frozen=True, slots=True)
class DecisionCard:
    """What a person sees first."""

    sentence: str
    """With names as the system read them; what is exactly done stays beside it."""
    payee: str
    """Who gets the money or the right, by name; "" where nobody is named."""
    button: str
    reasons: tuple[ReasonCard, ...]
    flags: tuple[str, ...]
    past: tuple[PastOutcome, ...]


def card_of(view: RequestView) -> DecisionCard:
    """The card of a request; one query, for the outcomes."""
    names = _names(view.from_system)
    payee = _payee(view, names)
    return DecisionCard(
        sentence=_sentence(view, names, payee),
        payee=payee,
        button=_button(view, payee),
        reasons=_reasons(view.asked) if view.asked else (),
        flags=_flags(view),
        past=_past(view.request),
    )


def _names(sources: Iterable[Source]) -> dict[str, str]:
    """What the system calls somebody -> their name, as it read both."""
    found: dict[str, str] = {}
    for source in sources:
        kind, _, reference = source.title.partition(" ")
        lines = {line.key: line.value for line in source.lines}
        name = next((lines[key] for key in _NAMES if lines.get(key)), "")
        if kind in _TITLED and reference and name:
            found[reference] = name
            if lines.get("email"):
                found[lines["email"]] = name
    return found


def _payee(view: RequestView, names: dict[str, str]) -> str:
    request = view.request
    known = names.get(request.counterparty, "")
    if known or not request.counterparty:
        return known
    if request.counterparty.startswith("customer of "):
        return next(iter(names.values()), "")
    return reveal(request.counterparty) if request.verb != Verb.PAY else ""


def _sentence(view: RequestView, names: dict[str, str], payee: str) -> str:
    """One sentence from params and from what the system read; never from the agent's words."""
    request = view.request
    if view.reading and view.reading.sentence:
        return view.reading.sentence
    if request.verb == Verb.PAY and view.amount and payee:
        verb = view.effect.partition(" ")[0]
        return f"{verb} {view.amount} to {payee}, {view.target}"
    # what follows the first quotation mark is what somebody wrote
    said, mark, written = view.effect.partition('"')
    for reference, name in names.items():
        for before, after in (
            (f"account {reference}", f"the account of {name}"),
            (f"vendor {reference}", name),
            (reference, name),
        ):
            if before in said:
                said = said.replace(before, after, 1)
                break
    return f"{said}{mark}{written}"


def _button(view: RequestView, payee: str) -> str:
    if view.amount is None:
        return "Approve exactly this"
    return f"Approve {view.amount} to {payee}" if payee else f"Approve {view.amount}"


def _reasons(asked: PolicyShown) -> tuple[ReasonCard, ...]:
    """What the engine itself says first, then what decided with its values, then the others."""
    facts = {fact.key: fact for fact in facts_of(asked)}
    rules = {rule.rule: rule for rule in asked.reasons}
    cards = [
        *(ReasonCard(fact.reason, rules.get(key), fact) for key, fact in facts.items()),
        *(ReasonCard(r.reason, r, None) for r in asked.reasons if r.rule not in facts),
    ]
    return tuple(sorted(cards, key=_is_of_policy))


def _is_of_policy(card: ReasonCard) -> bool:
    return card.rule is not None and card.rule.owner != ENGINE


def _flags(view: RequestView) -> tuple[str, ...]:
    """Everything the detectors found, wherever it was."""
    found = [
        *view.proposal.flags,
        *(flag for source in view.sources for flag in source.flags),
        *(flag for line in view.params for flag in line.flags),
    ]
    return tuple(dict.fromkeys(found))


def _past(request: ActionRequest) -> tuple[PastOutcome, ...]:
    """The last that ended for the same customer, vendor or target, whoever asked."""
    same = ActionRequest.objects.filter(action_type=request.action_type)
    if request.counterparty:
        same = same.filter(counterparty=request.counterparty, state__in=sorted(DONE | ENDED))
    else:
        same = same.filter(target=request.target, state__in=sorted(DONE | ENDED))
    rows = same.exclude(pk=request.pk).order_by("-id")[:_PAST]
    return tuple(
        PastOutcome(
            pk=row.pk,
            effect=reveal(row.effect),
            state=row.get_state_display(),
            is_good=row.state in _GOOD,
            at=row.updated_at,
        )
        for row in rows
    )
