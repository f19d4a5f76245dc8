"""Who is told by mail: whoever may decide it now, the one it is suggested to first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from approvals.choices import DecisionVerdict
from approvals.models import ActionRequest, Decision, Requirement
from approvals.selectors.authority import case_for_all, people_decided, ways_in
from approvals.selectors.case import amount_of
from approvals.selectors.requests import decisions_of
from audit.lib.dates import format_moment
from policies.authority import Case, deciders_for
from policies.models import User
from policies.team_names import spoken
from policies.verdicts import RequirementSpec

Ways = Callable[[Requirement], list[RequirementSpec]]
"""As whom a requirement may be answered."""

_APPROVING = (DecisionVerdict.APPROVE, DecisionVerdict.BREAK_GLASS)


def may_decide_now(
    request: ActionRequest,
    requirements: Iterable[Requirement],
    *,
    at: datetime,
    case: Case | None = None,
    ways: Ways = ways_in,
) -> list[User]:
    """Everybody who may answer one of these requirements, on delegated authority as well.

    `ways` says as whom: by default as its groups, or as whom it was escalated to. `case` is the
    request's `case_for_all`, for who has it already.
    """
    case = replace(case or case_for_all(request, at=at), at=at, decided=people_decided(request))
    asked = list(requirements)
    found: dict[int, User] = {}
    for requirement in asked:
        for spec in ways(requirement):
            found |= {user.pk: user for user in deciders_for(case, spec)}
    return first(assignees(asked), found.values())


def may_decide_of_many(
    asked: Sequence[tuple[ActionRequest, Requirement]], *, ways: Ways
) -> list[list[User]]:
    """The same for many at once, a few statements for each set of teams.

    What the rows in hand say counts: the agent's owner, whoever opened it or it is for, and limits.
    Whoever else took part, or has used up their day, is refused when they come.
    """
    return [
        first(
            assignees([requirement]),
            (
                user
                for spec in ways(requirement)
                for user in deciders_for(_case_in_hand(request), spec)
                if not _is_for(user, request)
            ),
        )
        for request, requirement in asked
    ]


def as_asked(requirement: Requirement) -> list[RequirementSpec]:
    """As the groups it was asked of, whoever may answer it since."""
    return [requirement.spec]


def as_escalated(requirement: Requirement) -> list[RequirementSpec]:
    """As whom it was escalated to."""
    return [replace(requirement.spec, group=requirement.escalated_to, alternatives=())]


def assignees(requirements: Iterable[Requirement]) -> list[User]:
    """Whom these are suggested to, or who has them."""
    return [one.assignee for one in requirements if one.assignee is not None]


def first(ahead: Iterable[User], everybody: Iterable[User]) -> list[User]:
    """Everybody once, those first who are among them and come `ahead`."""
    known = {user.pk: user for user in everybody}
    leading = {user.pk: user for user in ahead if user.pk in known}
    return list((leading | known).values())


def approvers_of(request: ActionRequest) -> list[User]:
    """Whoever said yes to the version at hand."""
    return [
        decision.decider
        for decision in decisions_of(request)
        if decision.version == request.version and decision.verdict in _APPROVING
    ]


def approvers_of_many(requests: Sequence[ActionRequest]) -> dict[UUID, list[User]]:
    """The same of each of these, in one statement."""
    versions = {request.pk: request.version for request in requests}
    said = Decision.objects.filter(request__in=requests, verdict__in=_APPROVING).order_by("id")
    found: dict[UUID, list[User]] = {}
    for decision in said.select_related("decider"):
        if decision.version == versions[decision.request_id]:
            found.setdefault(decision.request_id, []).append(decision.decider)
    return found


def about(request: ActionRequest, groups: Iterable[str]) -> str:
    """What a subject says of a request: who is asked, how risky, until when; never what it is."""
    teams = " and ".join(dict.fromkeys(spoken(group) for group in groups))
    tier = "?" if request.risk_tier is None else request.risk_tier
    due = f", due {format_moment(request.decide_by)}" if request.decide_by else ""
    return f"{teams[:80]}, tier {tier}{due}"


def _is_for(user: User, request: ActionRequest) -> bool:
    """Whether it was requested for them, as the agent spells it."""
    named = request.on_behalf_of.casefold()
    names = (user.username, user.email, user.person)
    return bool(named) and named in (name.casefold() for name in names)


def _case_in_hand(request: ActionRequest) -> Case:
    involved = {request.agent.owner.person: "the agent's owner"}
    if request.requested_by is not None:
        involved[request.requested_by.person] = "the person who opened it"
    return Case(
        action_type=request.action_type,
        amount=amount_of(request),
        tier=request.effective_tier,
        involved=involved,
    )
