"""Which requests and agents somebody may read. Reading is not deciding: see policies.authority."""

from __future__ import annotations

from django.db.models import QuerySet

from approvals.models import ActionRequest, Agent
from approvals.selectors.break_glass import open_for_break_glass, open_to_reviewers
from approvals.selectors.inbox import inboxes_of, requests_of, teams_of
from policies.authority import is_agent_owner, is_auditor, is_ops_admin, roles_of
from policies.models import User


def sees_everything(user: User) -> bool:
    """Auditors, and superusers: they may read, and nothing more than that."""
    return user.is_active and (user.is_superuser or is_auditor(roles_of(user)))


def visible_requests(user: User) -> QuerySet[ActionRequest]:
    """What their teams were ever asked about, what their own agents asked for, or everything.

    Whoever may use break-glass reads whatever waits; whoever reviews that, what it was done for.

    Ops admins configure and see no request.
    """
    if sees_everything(user):
        return ActionRequest.objects.all()
    visible = ActionRequest.objects.none()
    for team in inboxes_of(user):
        visible |= requests_of(team)
    if user.is_active and is_agent_owner(roles_of(user)):
        visible |= ActionRequest.objects.filter(agent__owner=user)
    return visible | open_for_break_glass(user) | open_to_reviewers(user)


def visible_agents(user: User) -> QuerySet[Agent]:
    """Every agent for those who configure, decide or audit; one's own for an agent owner."""
    roles = roles_of(user)
    if sees_everything(user) or is_ops_admin(roles) or teams_of(user):
        return Agent.objects.all()
    if is_agent_owner(roles):
        return Agent.objects.filter(owner=user)
    return Agent.objects.none()


def keepable_agents(user: User) -> QuerySet[Agent]:
    """The agents this person may change, pause and give keys: theirs, or all for an ops admin.

    The superuser flag adds nothing.
    """
    if not user.is_active:
        return Agent.objects.none()
    roles = roles_of(user)
    if is_ops_admin(roles):
        return Agent.objects.all()
    if is_agent_owner(roles):
        return Agent.objects.filter(owner=user)
    return Agent.objects.none()


def may_register_agents(user: User) -> bool:
    """Agent owners for themselves, ops admins for anybody. The superuser flag adds nothing."""
    roles = roles_of(user)
    return user.is_active and (is_ops_admin(roles) or is_agent_owner(roles))
