"""Filters of an inbox: fixed choices only, because listing what a column holds reads the table."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, cast

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest

from approvals.models import ActionRequest
from approvals.selectors import clock
from approvals.selectors.inbox import TO_DECIDE, VIEWS, View, in_view
from connectors.registry import action_types
from policies.models import User
from policies.roles import ROLES
from policies.verdicts import HIGHEST_TIER

Choices = list[tuple[str, str]]
Requests = QuerySet[ActionRequest]


class HasTeam(Protocol):
    team: str


def view_asked_for(request: HttpRequest) -> View:
    """The tab in the address; what is not one is the first."""
    asked = request.GET.get(ViewFilter.parameter_name)
    return next((view for view in VIEWS if view.key == asked), TO_DECIDE)


class ViewFilter(SimpleListFilter):
    """The tabs. There is always one: an inbox opens on what can be decided now."""

    title = "view"
    parameter_name = "show"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self._team = cast(HasTeam, model_admin).team
        self._view = view_asked_for(request)
        self._viewer = cast(User, request.user)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(view.key, view.name) for view in VIEWS]

    def queryset(self, request: HttpRequest, queryset: Requests) -> Requests:
        viewer = self._viewer
        return in_view(queryset, self._team, self._view, at=clock.now(), viewer=viewer)


class _ColumnFilter(SimpleListFilter):
    """One column, equal to one of the choices; any other value finds nothing."""

    column: ClassVar[str]

    def queryset(self, request: HttpRequest, queryset: Requests) -> Requests:
        value = self.value()
        if value is None:
            return queryset
        if value not in {str(key) for key, _ in self.lookup_choices}:
            return queryset.none()
        return queryset.filter(**{self.column: value})


class TierFilter(_ColumnFilter):
    title = "tier"
    parameter_name = "tier"
    column = "risk_tier"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(str(tier), f"Tier {tier}") for tier in range(HIGHEST_TIER + 1)]


class ActionTypeFilter(_ColumnFilter):
    title = "action"
    parameter_name = "action_type"
    column = "action_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(kind.key, kind.title) for kind in action_types()]


class AgentTeamFilter(_ColumnFilter):
    title = "agent team"
    parameter_name = "agent_team"
    column = "agent__team"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(role.name, role.name.capitalize()) for role in ROLES if role.decides]


INBOX_FILTERS = (ViewFilter, TierFilter, ActionTypeFilter, AgentTeamFilter)
