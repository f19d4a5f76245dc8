"""Who works on a request, and what the person in front of it may do about that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from approvals.choices import State
from approvals.exceptions import ApprovalError, NotAuthorised
from approvals.models import ActionRequest, Requirement
from approvals.selectors.authority import authorise, people_decided, ways_in
from approvals.selectors.case import approved_today_by_person, case_of
from approvals.selectors.requests import requirements_of
from approvals.selectors.viewer_permissions import name_of
from audit.lib.dates import format_moment
from policies.authority import deciders_for, is_manager, never_decides, roles_of
from policies.models import User
from policies.team_names import spoken


@dataclass(frozen=True, slots=True)
class Assignment:
    """One open requirement: who has it, and until when they have claimed it, if they have."""

    group: str
    name: str
    is_viewer: bool
    claimed_until: datetime | None


@dataclass(frozen=True, slots=True)
class Claims:
    """Who works on it. `colleagues` are those the viewer may give it to, by account id."""

    assignments: tuple[Assignment, ...] = ()
    may_claim: bool = False
    may_release: bool = False
    colleagues: tuple[tuple[int, str], ...] = ()


def claims_of(request: ActionRequest, viewer: User, *, at: datetime) -> Claims:
    """For the review page, while people decide; afterwards nobody works on anything."""
    if request.state != State.PENDING_APPROVAL:
        return Claims()
    open_ones = [one for one in requirements_of(request) if one.is_open]
    mine = [one for one in open_ones if claimant(one, at) == viewer.person]
    return Claims(
        assignments=tuple(_assignment(one, viewer, at) for one in open_ones),
        may_claim=not mine and _may_claim(request, viewer, at),
        may_release=bool(mine),
        colleagues=_colleagues(request, open_ones, viewer, at),
    )


def current_requirements(request: ActionRequest) -> list[Requirement]:
    """What the current version still asks people for, with whom it is suggested to."""
    found = Requirement.objects.filter(request=request, version=request.version, is_open=True)
    return list(found.select_related("assignee").order_by("stage", "id"))


def claimant(requirement: Requirement, at: datetime) -> str:
    """The person whose claim holds; empty when nobody's does."""
    holder, until = requirement.assignee, requirement.claimed_until
    return holder.person if holder is not None and until is not None and until > at else ""


def why_not_claim(requirement: Requirement, person: User, at: datetime) -> ApprovalError | None:
    """Somebody else's claim stands in the way; None means it is free."""
    holder, until = requirement.assignee, requirement.claimed_until
    if until is None or claimant(requirement, at) in ("", person.person):
        return None
    return ApprovalError(
        f"{holder} works on this until {format_moment(until)}. You may decide it all the same.",
        code="claimed",
    )


def why_not_give(
    by: User, request: ActionRequest, requirement: Requirement, at: datetime
) -> ApprovalError | None:
    """Why this person does not choose who decides it; None means they may.

    The assignee may, a member of a group that is asked, and a manager; never somebody who took
    part in the request. A claim that holds is its claimant's and a manager's to give away.
    """
    roles = roles_of(by) if by.is_active else frozenset()
    no_say = NotAuthorised("You have no say in who decides this.", code="not_in_group")
    if not roles or never_decides(roles):
        return no_say
    part = case_of(request, at=at).involved.get(by.person)
    if part is not None:
        return NotAuthorised(
            f"You took part in this request ({part}), so you do not choose who decides it.",
            code="four_eyes",
        )
    if is_manager(roles):
        return None
    holder = requirement.assignee
    asked = {*requirement.spec.groups, requirement.escalated_to}
    if not (roles & asked or (holder is not None and holder.person == by.person)):
        return no_say
    return why_not_claim(requirement, by, at)


def _assignment(requirement: Requirement, viewer: User, at: datetime) -> Assignment:
    holder = requirement.assignee
    return Assignment(
        group=spoken(requirement.group),
        name=name_of(holder) if holder else "",
        is_viewer=holder is not None and holder.person == viewer.person,
        claimed_until=requirement.claimed_until if claimant(requirement, at) else None,
    )


def _may_claim(request: ActionRequest, viewer: User, at: datetime) -> bool:
    try:
        requirement, _ = authorise(viewer, request, needs_limit=False, at=at)
    except NotAuthorised:
        return False
    return why_not_claim(requirement, viewer, at) is None


def _colleagues(
    request: ActionRequest, requirements: list[Requirement], viewer: User, at: datetime
) -> tuple[tuple[int, str], ...]:
    given = [one for one in requirements if why_not_give(viewer, request, one, at) is None]
    if not given:
        return ()
    spent = approved_today_by_person(request.currency, now=at, excluding=request)
    case = replace(
        case_of(request, at=at),
        decided=people_decided(request),
        spent_today=lambda user: spent.get(user.person, 0),
    )
    found = {
        user.pk: name_of(user)
        for requirement in given
        for spec in ways_in(requirement)
        for user in deciders_for(case, spec)
        if user.pk not in (requirement.assignee_id, viewer.pk)
    }
    return tuple(sorted(found.items(), key=lambda item: item[1].casefold()))
