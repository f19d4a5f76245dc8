"""What the person in front of the page may do with the request, and if not, why and who may."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from approvals.choices import FINAL_VERDICTS, INCIDENTS, UNDOABLE, DecisionVerdict, State
from approvals.exceptions import NotAuthorised
from approvals.models import ActionRequest, Compensation, Decision, PolicyDecision, Requirement
from approvals.selectors.authority import (
    approvals_of,
    grounds_for,
    may_conclude,
    missing_evidence,
    own_approval,
    people_decided,
    progress_of,
    ways_in,
)
from approvals.selectors.case import approved_today_by_person, case_of
from approvals.selectors.requests import requirements_of, usable_grant_of
from audit.money import Money
from connectors.catalogue import ActionType
from policies.authority import Authority, deciders_with_grounds
from policies.models import User
from policies.quorum import progress

_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Need:
    """One requirement, how far it is met, and by whom."""

    group: str
    quorum: int
    met_count: int
    met: bool
    is_open: bool
    stage: int
    escalated_to: str
    within_limit: bool
    given_by: tuple[str, ...]
    alternatives: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """The viewer's place in it. An empty refusal means: go ahead."""

    may_approve: bool = False
    may_answer: bool = False
    """Reject, ask, escalate: nobody needs authority over an amount to stop it."""
    refusal: str = ""
    could_decide: tuple[str, ...] = ()
    group: str = ""
    limit: str = ""
    on_behalf_of: str = ""  # the name of whoever lent the authority; "" for one's own
    missing: tuple[str, ...] = ()
    reason_needed: bool = False
    escalates_to: str = ""  # "" when it has been escalated already
    is_last: bool = False
    still_needed: tuple[str, ...] = ()
    own_decision: Decision | None = None
    may_start: bool = False
    may_sign_off: bool = False
    may_resolve: bool = False
    may_undo: bool = False


def needs_of(request: ActionRequest) -> tuple[Need, ...]:
    """The current version's requirements with the people who met them."""
    given: dict[str, str] = {}
    for decision in request.decisions.filter(
        version=request.version, verdict=DecisionVerdict.APPROVE
    ).select_related("decider"):
        given[decision.decider.person] = name_of(decision.decider) + (
            f" on behalf of {name_of_person(decision.on_behalf_of)}"
            if decision.on_behalf_of
            else ""
        )
    return tuple(
        Need(
            group=requirement.group,
            alternatives=requirement.spec.alternatives,
            excludes=requirement.spec.excludes,
            quorum=requirement.quorum,
            met_count=state.met_count,
            met=state.met,
            is_open=state.open,
            stage=requirement.stage,
            escalated_to=requirement.escalated_to,
            within_limit=requirement.within_limit,
            given_by=tuple(given[person] for person in state.by if person in given),
        )
        for requirement, state in zip(requirements_of(request), progress_of(request), strict=True)
    )


def standing_of(
    request: ActionRequest,
    viewer: User,
    *,
    policy: PolicyDecision | None,
    kind: ActionType | None,
    at: datetime,
) -> Standing:
    """What the viewer may do now. The services decide again when it is done."""
    if request.state != State.PENDING_APPROVAL:
        return _afterwards(request, viewer, kind)
    own = request.decisions.filter(
        version=request.version, person=viewer.person, verdict__in=FINAL_VERDICTS
    ).first()
    if own is not None:
        return Standing(own_decision=own)
    if request.decide_by is not None and request.decide_by <= at:
        return Standing(refusal="The time to decide this has run out.")
    if policy is None:
        return Standing(refusal="This request has no policy decision; it cannot be decided.")
    try:
        requirement, authority = grounds_for(viewer, request, needs_limit=False, at=at)
    except NotAuthorised as refusal:
        return Standing(refusal=refusal.message, could_decide=could_decide(request, at=at))
    shared = Standing(
        may_answer=True,
        on_behalf_of=name_of_person(authority.on_behalf_of),
        group=authority.group,
        missing=tuple(missing_evidence(request, policy, at=at)),
        reason_needed=request.effective_tier >= 3 or policy.reason_required,
        escalates_to=_further(requirement),
    )
    try:
        requirement, authority = grounds_for(viewer, request, needs_limit=True, at=at)
    except NotAuthorised as refusal:
        return replace(shared, refusal=refusal.message, could_decide=could_decide(request, at=at))
    limit = authority.limit_minor
    still_needed = _still_needed(request, viewer, requirement, authority)
    return replace(
        shared,
        may_approve=True,
        group=authority.group,
        limit="" if limit is None else str(Money(limit, request.currency)),
        on_behalf_of=name_of_person(authority.on_behalf_of),
        escalates_to=_further(requirement),
        is_last=not still_needed,
        still_needed=still_needed,
    )


def could_decide(request: ActionRequest, *, at: datetime) -> tuple[str, ...]:
    """People who could say yes now, by name, role and limit; a handful at most."""
    spent = approved_today_by_person(request.currency, now=at, excluding=request)
    case = replace(
        case_of(request, at=at),
        decided=people_decided(request),
        spent_today=lambda user: spent.get(user.person, 0),
    )
    found: dict[str, str] = {}
    for requirement, state in zip(requirements_of(request), progress_of(request), strict=True):
        if not state.open:
            continue
        for spec in ways_in(requirement):
            for user, grounds in deciders_with_grounds(case, spec):
                found.setdefault(user.person, _with_grounds(user, grounds, request.currency))
    return tuple(sorted(found.values())[:_MOST_NAMES])


def _with_grounds(user: User, grounds: Authority, currency: str) -> str:
    """Such as "Max Director (manager, up to 20,000.00 EUR)"."""
    words = [grounds.group]
    if grounds.on_behalf_of:
        words.append(f"on behalf of {name_of_person(grounds.on_behalf_of)}")
    if grounds.limit_minor is not None:
        words.append(f"up to {Money(grounds.limit_minor, currency)}")
    return f"{name_of(user)} ({', '.join(words)})"


def name_of(user: User) -> str:
    """The person as colleagues know them."""
    return user.get_full_name() or user.get_username()


def name_of_person(person: str) -> str:
    """The same for a natural person, by their first account; "" for nobody."""
    account = User.objects.filter(person=person).order_by("pk").first() if person else None
    return name_of(account) if account else person


def _afterwards(request: ActionRequest, viewer: User, kind: ActionType | None) -> Standing:
    grant = usable_grant_of(request) if request.state == State.APPROVED else None
    starts = grant is not None and grant.needs_start and grant.started_by_id is None
    signs = request.state == State.VERIFIED and request.effective_tier >= 4
    resolves = request.state in INCIDENTS
    undoes = request.state in UNDOABLE and kind is not None and bool(kind.undo_type)
    if undoes:
        undoes = not Compensation.objects.filter(original=request, is_active=True).exists()
    if not (starts or signs or resolves or undoes):
        return Standing()
    if not may_conclude(viewer, request):
        return Standing(refusal="Only people who may decide on this may go on with it.")
    return Standing(may_start=starts, may_sign_off=signs, may_resolve=resolves, may_undo=undoes)


def _still_needed(
    request: ActionRequest, viewer: User, requirement: Requirement, authority: Authority
) -> tuple[str, ...]:
    """The groups that still have to say yes after this person did."""
    given = [*approvals_of(request), own_approval(requirement, viewer, authority)]
    specs = [r.spec for r in requirements_of(request)]
    return tuple(one.spec.group for one in progress(specs, given) if not one.met)


def _further(requirement: Requirement) -> str:
    return "" if requirement.escalated_to else requirement.escalates_to
