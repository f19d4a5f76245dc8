"""Which requests and agents somebody may read. Reading is not deciding: see policies.authority."""

from __future__ import annotations

from django.db.models import QuerySet

from approvals.models import ActionRequest, Agent
from approvals.selectors.glass import open_to_breakers, open_to_reviewers
from approvals.selectors.inbox import requests_of, teams_of
from policies.models import User
from policies.roles import AGENT_OWNER, AUDITOR, CONFIGURING_ROLE


def sees_everything(user: User) -> bool:
    """Auditors, and superusers: they may read, and nothing more than that."""
    return user.is_active and (user.is_superuser or _is(user, AUDITOR))


def visible_requests(user: User) -> QuerySet[ActionRequest]:
    """What their teams were ever asked about, what their own agents asked for, or everything.

    Whoever may break the glass reads whatever waits; whoever reviews that, what it was done for.

    Ops admins configure and see no request.
    """
    if sees_everything(user):
        return ActionRequest.objects.all()
    visible = ActionRequest.objects.none()
    for team in teams_of(user):
        visible |= requests_of(team)
    if user.is_active and _is(user, AGENT_OWNER):
        visible |= ActionRequest.objects.filter(agent__owner=user)
    return visible | open_to_breakers(user) | open_to_reviewers(user)


def visible_agents(user: User) -> QuerySet[Agent]:
    """Every agent for those who configure, decide or audit; one's own for an agent owner."""
    if sees_everything(user) or _is(user, CONFIGURING_ROLE) or teams_of(user):
        return Agent.objects.all()
    if _is(user, AGENT_OWNER):
        return Agent.objects.filter(owner=user)
    return Agent.objects.none()


def keepable_agents(user: User) -> QuerySet[Agent]:
    """The agents this person may change, pause and give keys: theirs, or all for an ops admin.

    The superuser flag adds nothing.
    """
    if not user.is_active:
        return Agent.objects.none()
    if _is(user, CONFIGURING_ROLE):
        return Agent.objects.all()
    if _is(user, AGENT_OWNER):
        return Agent.objects.filter(owner=user)
    return Agent.objects.none()


def may_register_agents(user: User) -> bool:
    """Agent owners for themselves, ops admins for anybody. The superuser flag adds nothing."""
    return user.is_active and (_is(user, CONFIGURING_ROLE) or _is(user, AGENT_OWNER))


def _is(user: User, role: str) -> bool:
    return user.groups.filter(name=role).exists()
