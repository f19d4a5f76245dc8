"""Who could approve what an inbox lists: told beside each row, and what the count counts.

Told from accounts read up to KEPT_SECONDS ago, and without all that opening one request looks at
(limits of a day, who wrote the policy): the page of the request and the services decide anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from django.core.cache import cache
from django.db.models import Exists, OuterRef, Q

from approvals.choices import FINAL_VERDICTS, DecisionVerdict, State
from approvals.models import ActionRequest, Decision, RequestContent, Requirement
from approvals.selectors.authority import approval_of, people_in, ways_in
from approvals.selectors.case import abstaining, amount_of
from connectors.registry import action_types
from policies.authority import Authority, Case, best_limit
from policies.colleagues import Colleague, colleagues_of, could_answer
from policies.models import User
from policies.quorum import progress
from policies.team_names import spoken
from policies.verdicts import RequirementSpec

KEPT_SECONDS = 10
_MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class TookPart:
    """The persons who changed it: they do not decide it. "" for nobody."""

    editor: str = ""
    supplier: str = ""
    viewer: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether the viewer may approve it now; if not, why, and who may."""

    may_approve: bool
    why_not: str = ""
    others: tuple[str, ...] = ()
    more: int = 0
    """How many others beside those named."""


def turns_of(
    requests: Sequence[ActionRequest],
    took_part: Mapping[UUID, TookPart],
    *,
    viewer: User,
    at: datetime,
) -> dict[UUID, Turn]:
    """For each that waits for people, with its requirements and decisions read before."""
    waiting = [one for one in requests if one.state == State.PENDING_APPROVAL]
    if not waiting:
        return {}
    asked = {group for one in waiting for r in one.requirements.all() for group in _groups(r)}
    people = _colleagues(frozenset(asked), viewer, at)
    return {one.pk: _turn(one, took_part[one.pk], people, viewer, at) for one in waiting}


def _groups(requirement: Requirement) -> tuple[str, ...]:
    return tuple(group for spec in ways_in(requirement) for group in spec.groups)


def _colleagues(groups: frozenset[str], viewer: User, at: datetime) -> tuple[Colleague, ...]:
    key = f"colleagues:{viewer.pk}:{sha256('|'.join(sorted(groups)).encode()).hexdigest()}"
    kept: tuple[Colleague, ...] | None = cache.get(key)
    if kept is None:
        kept = colleagues_of(groups, at=at)
        cache.set(key, kept, KEPT_SECONDS)
    return kept


def _turn(
    request: ActionRequest,
    took_part: TookPart,
    people: Sequence[Colleague],
    viewer: User,
    at: datetime,
) -> Turn:
    requirements, decisions = list(request.requirements.all()), list(request.decisions.all())
    case = Case(
        action_type=request.action_type,
        amount=amount_of(request),
        tier=request.effective_tier,
        involved=_involved(request, took_part, people),
        decided=people_in(d for d in decisions if d.verdict in FINAL_VERDICTS),
        abstained=abstaining(decisions),
        at=at,
    )
    given = [approval_of(d) for d in decisions if d.verdict == DecisionVerdict.APPROVE]
    states = progress([r.spec for r in requirements], given)
    open_now = [
        spec
        for requirement, state in zip(requirements, states, strict=True)
        if state.open
        for spec in ways_in(requirement)
    ]
    own = next((one for one in people if one.user_id == viewer.pk), None)
    others = [one for one in people if one is not own and _answers(one, case, open_now)]
    names = tuple(one.name for one in others[:_MOST_NAMES])
    if own is not None and _answers(own, case, open_now):
        return Turn(True, others=names, more=len(others) - len(names))
    return Turn(False, _why_not(own, case, open_now), names, len(others) - len(names))


def _answers(one: Colleague, case: Case, open_now: Iterable[RequirementSpec]) -> bool:
    return any(isinstance(could_answer(one, case, spec), Authority) for spec in open_now)


def _why_not(own: Colleague | None, case: Case, open_now: Sequence[RequirementSpec]) -> str:
    """In a few words, as the row has it; its page says the whole sentence."""
    if own is None:
        return "not yours to decide"
    answers = [could_answer(own, case, spec) for spec in open_now]
    codes = [answer.code for answer in answers if not isinstance(answer, Authority)]
    telling = [code for code in codes if code in _IN_A_FEW_WORDS]
    if telling:
        return _IN_A_FEW_WORDS[telling[0]]
    waited_for = sorted({spoken(spec.group) for spec in open_now})
    return f"waits for {' and '.join(waited_for)}" if waited_for else "nobody is asked now"


_IN_A_FEW_WORDS = {
    "four_eyes": "you took part in it",
    "already_decided": "you decided",
    "abstained": "you abstained",
    "lender_abstained": "whom you stand in for abstained",
    "no_limit": "you have no limit for this",
    "over_limit": "above your limit",
    "over_daily_limit": "above your limit of a day",
    "over_cap": "above what is delegated to you",
    "lender_decided": "decided on behalf of whom you stand in for",
}


def _involved(
    request: ActionRequest, took_part: TookPart, people: Iterable[Colleague]
) -> dict[str, str]:
    involved = {
        person: "who changed it"
        for person in (took_part.editor, took_part.supplier, took_part.viewer)
        if person
    }
    if request.requested_by is not None:
        involved[request.requested_by.person] = "the person who opened it"
    subject = request.on_behalf_of.casefold()
    if subject:
        named = (one.decider.person for one in people if subject in one.spellings)
        involved |= dict.fromkeys(named, "the person it was requested for")
    involved[request.agent.owner.person] = "the agent's owner"
    return involved


# --- The same for counting, in the database -------------------------------------------------------


def may_approve(viewer: User, *, asked: str, at: datetime) -> Q:
    """Requirements, of a request joined as `request`, that the viewer could say yes to.

    `asked` is the team in whose inbox they are. What a row finds out by stages is left out.
    """
    person = viewer.person
    answered = Q(version=OuterRef("version"), verdict__in=FINAL_VERDICTS)
    decided = Decision.objects.filter(
        answered | Q(verdict=DecisionVerdict.ABSTAIN), request=OuterRef("request"), person=person
    )
    changed = RequestContent.objects.filter(request=OuterRef("request")).filter(
        Q(edited_by__person=person) | Q(supplied_by__person=person)
    )
    own = next(
        (one for one in _colleagues(frozenset({asked}), viewer, at) if one.user_id == viewer.pk),
        None,
    )
    if own is None:
        return Q(pk__in=())
    subject = Q(request__on_behalf_of__iexact=person)
    for spelling in own.spellings:
        subject |= Q(request__on_behalf_of__iexact=spelling)
    opened = Q(request__requested_by__isnull=False, request__requested_by__person=person)
    return (
        ~Exists(decided)
        & ~Exists(changed)
        & ~Q(request__agent__owner__person=person)
        & ~opened
        & ~(Q(request__on_behalf_of__gt="") & subject)
        & (Q(within_limit=False) | Q(request__amount_minor=None) | _within_limits(own))
    )


def _within_limits(own: Colleague) -> Q:
    """Amounts that their limits, or those delegated to them, cover; per kind and currency."""
    held = [own.limits, *(one.limits for one in own.delegated)]
    currencies = {limit.currency for limits in held for limit in limits}
    types: dict[tuple[str, int], set[str]] = {}
    for currency in currencies:
        for kind in action_types():
            best = [best_limit(limits, kind.key, currency) for limits in held]
            most = max((limit.each_minor for limit in best if limit), default=-1)
            if most >= 0:
                types.setdefault((currency, most), set()).add(kind.key)
    covered = Q(pk__in=())
    for (currency, most), kinds in sorted(types.items()):
        amount = Q(request__currency=currency, request__amount_minor__lte=most)
        is_every = len(kinds) == len(action_types())
        covered |= amount if is_every else amount & Q(request__action_type__in=sorted(kinds))
    return covered
