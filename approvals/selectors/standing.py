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
    progress_of,
)
from approvals.selectors.case import case_of
from approvals.selectors.requests import requirements_of, usable_grant_of
from audit.money import Money
from connectors.catalogue import ActionType
from policies.authority import deciders_for
from policies.models import User
from policies.quorum import Approval, progress

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
    given: dict[int, list[str]] = {}
    for decision in request.decisions.filter(
        version=request.version, verdict=DecisionVerdict.APPROVE
    ).select_related("decider"):
        if decision.requirement_id is not None:
            names = given.setdefault(decision.requirement_id, [])
            names.append(name_of(decision.decider))
    return tuple(
        Need(
            group=requirement.group,
            quorum=requirement.quorum,
            met_count=state.met_count,
            met=state.met,
            is_open=state.open,
            stage=requirement.stage,
            escalated_to=requirement.escalated_to,
            within_limit=requirement.within_limit,
            given_by=tuple(given.get(requirement.pk, ())),
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
        requirement, _ = grounds_for(viewer, request, needs_limit=False, at=at)
    except NotAuthorised as refusal:
        return Standing(refusal=refusal.message, could_decide=could_decide(request, at=at))
    shared = Standing(
        may_answer=True,
        group=requirement.group,
        missing=tuple(missing_evidence(request, policy, at=at)),
        reason_needed=request.effective_tier >= 3 or policy.reason_required,
        escalates_to=_further(requirement),
    )
    try:
        requirement, authority = grounds_for(viewer, request, needs_limit=True, at=at)
    except NotAuthorised as refusal:
        return replace(shared, refusal=refusal.message, could_decide=could_decide(request, at=at))
    limit = authority.limit_minor
    still_needed = _still_needed(request, viewer, requirement)
    return replace(
        shared,
        may_approve=True,
        group=requirement.group,
        limit="" if limit is None else str(Money(limit, request.currency)),
        escalates_to=_further(requirement),
        is_last=not still_needed,
        still_needed=still_needed,
    )


def could_decide(request: ActionRequest, *, at: datetime) -> tuple[str, ...]:
    """Names of people who could say yes now, a handful at most."""
    case = case_of(request, at=at)
    decided = set(
        request.decisions.filter(version=request.version, verdict__in=FINAL_VERDICTS).values_list(
            "person", flat=True
        )
    )
    found: dict[str, str] = {}
    for requirement, state in zip(requirements_of(request), progress_of(request), strict=True):
        if not state.open:
            continue
        for group in {requirement.group, requirement.escalated_to} - {""}:
            for user in deciders_for(case, replace(requirement.spec, group=group)):
                if user.person not in decided:
                    found.setdefault(user.person, name_of(user))
    return tuple(sorted(found.values())[:_MOST_NAMES])


def name_of(user: User) -> str:
    """The person as colleagues know them."""
    return user.get_full_name() or user.get_username()


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
    request: ActionRequest, viewer: User, requirement: Requirement
) -> tuple[str, ...]:
    """The groups that still have to say yes after this person did."""
    given = [
        *approvals_of(request),
        Approval(person=viewer.person, group=requirement.group),
    ]
    specs = [r.spec for r in requirements_of(request)]
    return tuple(one.spec.group for one in progress(specs, given) if not one.met)


def _further(requirement: Requirement) -> str:
    if requirement.escalated_to == requirement.escalates_to:
        return ""
    return requirement.escalates_to
