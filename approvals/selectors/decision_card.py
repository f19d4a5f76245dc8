"""The first screen of a case: one sentence with names, what is in the way, what came before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from approvals.choices import DONE, ENDED, State
from approvals.inspection import reveal
from approvals.models import ActionRequest
from approvals.selectors.evidence_view import PolicyShown, RuleShown
from approvals.selectors.facts_to_confirm import FactToConfirm, facts_of
from approvals.selectors.request_view import RequestView
from policies.evaluate import ENGINE

_PAST = 3
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
    payee = view.reading.payee if view.reading else ""
    return DecisionCard(
        sentence=(view.reading.sentence if view.reading else "") or view.effect,
        payee=payee,
        button=_button(view, payee),
        reasons=_reasons(view.asked) if view.asked else (),
        flags=_flags(view),
        past=_past(view.request),
    )


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
