"""What the person in front of the page may do with the request, and if not, why and who may."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from approvals.choices import FINAL_VERDICTS, INCIDENTS, UNDOABLE, State
from approvals.exceptions import NotAuthorised
from approvals.models import (
    ActionRequest,
    Compensation,
    Decision,
    Grant,
    PolicyDecision,
    Requirement,
)
from approvals.selectors.authority import (
    approvals_of,
    authorise,
    may_conclude,
    own_approval,
    people_decided,
    progress_of,
    ways_in,
)
from approvals.selectors.case import approved_today_by_person, case_of
from approvals.selectors.evidence_gaps import Gap, evidence_gaps
from approvals.selectors.requests import (
    is_asked,
    latest_execution_of,
    requirements_of,
    usable_grant_of,
)
from audit.lib.money import Money
from connectors.catalogue import ActionType
from policies.authority import Authority, deciders_with_authority
from policies.models import User
from policies.quorum import progress
from policies.team_names import spoken

_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class ViewerPermissions:
    """What the viewer may do with it. An empty refusal means: go ahead."""

    may_approve: bool = False
    may_answer: bool = False
    """Reject, ask, escalate: nobody needs authority over an amount to stop it."""
    refusal: str = ""
    could_decide: tuple[str, ...] = ()
    group: str = ""
    limit: str = ""
    on_behalf_of: str = ""  # the name of whoever delegated the authority; "" for one's own
    gaps: tuple[Gap, ...] = ()
    """What keeps anybody from approving it now."""
    reason_needed: bool = False
    escalates_to: str = ""  # "" when it has been escalated already
    is_last: bool = False
    still_needed: tuple[str, ...] = ()
    own_decision: Decision | None = None
    may_start: bool = False
    may_stop: bool = False
    """What people start and watch goes no further."""
    may_sign_off: bool = False
    may_resolve: bool = False
    may_undo: bool = False


def permissions_of(
    request: ActionRequest,
    viewer: User,
    *,
    policy: PolicyDecision | None,
    kind: ActionType | None,
    at: datetime,
) -> ViewerPermissions:
    """What the viewer may do now. The services decide again when it is done."""
    if request.state != State.PENDING_APPROVAL:
        return _afterwards(request, viewer, kind)
    given = request.decisions.all()  # prefetched with the request by who shows it
    mine = (d for d in given if d.version == request.version and d.person == viewer.person)
    own = next((d for d in mine if d.verdict in FINAL_VERDICTS), None)
    if own is not None:
        return ViewerPermissions(own_decision=own)
    if request.decide_by is not None and request.decide_by <= at:
        return ViewerPermissions(refusal="The time to decide this has run out.")
    if policy is None:
        return ViewerPermissions(
            refusal="This request has no policy decision; it cannot be decided."
        )
    gaps = evidence_gaps(request, policy, at=at)
    try:
        requirement, authority = authorise(viewer, request, needs_limit=False, at=at)
    except NotAuthorised as refusal:
        decide = could_decide(request, at=at)
        return ViewerPermissions(refusal=refusal.message, could_decide=decide, gaps=gaps)
    shared = ViewerPermissions(
        may_answer=True,
        on_behalf_of=name_of_person(authority.on_behalf_of),
        group=spoken(authority.group),
        gaps=gaps,
        reason_needed=is_asked(request, "reason_required", policy=policy),
        escalates_to=_further(requirement),
    )
    try:
        requirement, authority = authorise(viewer, request, needs_limit=True, at=at)
    except NotAuthorised as refusal:
        return replace(shared, refusal=refusal.message, could_decide=could_decide(request, at=at))
    limit = authority.limit_minor
    still_needed = _still_needed(request, viewer, requirement, authority)
    return replace(
        shared,
        may_approve=True,
        group=spoken(authority.group),
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
            for user, held_authority in deciders_with_authority(case, spec):
                found.setdefault(
                    user.person, _with_authority(user, held_authority, request.currency)
                )
    return tuple(sorted(found.values())[:_MOST_NAMES])


def _with_authority(user: User, held_authority: Authority, currency: str) -> str:
    """Such as "Max Director (manager, up to 20,000.00 EUR)"."""
    words = [spoken(held_authority.group)]
    if held_authority.on_behalf_of:
        words.append(f"on behalf of {name_of_person(held_authority.on_behalf_of)}")
    if held_authority.limit_minor is not None:
        words.append(f"up to {Money(held_authority.limit_minor, currency)}")
    return f"{name_of(user)} ({', '.join(words)})"


def name_of(user: User) -> str:
    """The person as colleagues know them."""
    return user.get_full_name() or user.get_username()


def name_of_person(person: str) -> str:
    """The same for a natural person, by their first account; "" for nobody."""
    account = User.objects.filter(person=person).order_by("pk").first() if person else None
    return name_of(account) if account else person


def _afterwards(request: ActionRequest, viewer: User, kind: ActionType | None) -> ViewerPermissions:
    grant = usable_grant_of(request) if request.state == State.APPROVED else None
    starts = grant is not None and grant.needs_start and grant.started_by_id is None
    stops = _is_supervised(request, grant)
    signs = request.state == State.VERIFIED and is_asked(request, "sign_off")
    resolves = request.state in INCIDENTS
    undoes = request.state in UNDOABLE and kind is not None and bool(kind.undo_type)
    if undoes:
        undoes = not Compensation.objects.filter(original=request, is_active=True).exists()
    if not (starts or stops or signs or resolves or undoes):
        return ViewerPermissions()
    if not may_conclude(viewer, request):
        return ViewerPermissions(refusal="Only people who may decide on this may go on with it.")
    return ViewerPermissions(
        may_start=starts, may_stop=stops, may_sign_off=signs, may_resolve=resolves, may_undo=undoes
    )


def _is_supervised(request: ActionRequest, grant: Grant | None) -> bool:
    """Whether it waits for a person to start it, or runs while one watches."""
    if request.state == State.EXECUTING:
        execution = latest_execution_of(request)
        return execution is not None and execution.grant.needs_start
    return grant is not None and grant.needs_start


def _still_needed(
    request: ActionRequest, viewer: User, requirement: Requirement, authority: Authority
) -> tuple[str, ...]:
    """The groups that still have to say yes after this person did."""
    given = [*approvals_of(request), own_approval(requirement, viewer, authority)]
    specs = [r.spec for r in requirements_of(request)]
    return tuple(spoken(one.spec.group) for one in progress(specs, given) if not one.met)


def _further(requirement: Requirement) -> str:
    return "" if requirement.escalated_to else spoken(requirement.escalates_to)
