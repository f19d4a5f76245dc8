"""The inbox every team gets: its own list, its own review pages, and no other team's.

Its filters offer fixed choices only, because listing what a column holds reads the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from unfold.paginator import InfinitePaginator

from approvals.admin.review_context import countdown
from approvals.admin.saved_views import SavedViewsAdmin
from approvals.admin.scoped import as_uuid
from approvals.models import ActionRequest, Agent, Inbox
from approvals.selectors.inbox import (
    MOST_COUNTED,
    TO_DECIDE,
    VIEWS,
    View,
    listed,
)
from approvals.selectors.inbox_counts import FOR_VIEWER, counts_of_tabs, in_order
from approvals.selectors.inbox_rows import Row, claimants_of, rows_of
from approvals.selectors.search import SEARCHED_BY, matching
from audit.lib import db_clock
from audit.lib.admin import FixedOrderChangeList
from connectors.registry import action_types
from policies.models import User
from policies.team_names import spoken
from policies.teams import team_choices
from policies.verdicts import HIGHEST_TIER

Choices = list[tuple[str, str]]
Requests = QuerySet[ActionRequest]


def view_asked_for(request: HttpRequest) -> View:
    """The tab in the address; what is not one is the first."""
    asked = request.GET.get(ViewFilter.parameter_name)
    return next((view for view in VIEWS if view.key == asked), TO_DECIDE)


class TabChangeList(FixedOrderChangeList):
    """The list of one tab; the filters narrow that."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> Requests:
        inbox = cast(InboxAdmin, self.model_admin)
        self.root_queryset = inbox.tab(request, view_asked_for(request))
        found: Requests = super().get_queryset(request, exclude_parameters)
        return found


class ViewFilter(SimpleListFilter):
    """The tabs. There is always one: an inbox opens on what can be decided now."""

    title = "view"
    parameter_name = "show"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(view.key, view.name) for view in VIEWS]

    def queryset(self, request: HttpRequest, queryset: Requests) -> Requests:
        return queryset  # TabChangeList began with the tab's


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
        return team_choices()

    def queryset(self, request: HttpRequest, queryset: Requests) -> Requests:
        """By the agents' ids: of a team with none, or with few, the database then knows it."""
        if self.value() is None:
            return queryset
        agents = Agent.objects.filter(team=self.value()).values_list("pk", flat=True)
        return queryset.filter(agent__in=list(agents))


INBOX_FILTERS = (ViewFilter, TierFilter, ActionTypeFilter, AgentTeamFilter)
_NARROWING = ("tier", "action_type", "agent_team", "q")


@admin.register(Inbox)
class InboxAdmin(SavedViewsAdmin):
    """One team's list. The rows and tabs are the template's own."""

    change_list_template = "approvals/inbox.html"
    list_display = ("tier", "effect", "amount", "progress", "deadline")
    """The columns, in order. Each is a method that gets the row;
    `.cs-cell-NAME` in countersign.css makes it wider or narrower than the usual 8 rem."""
    list_filter = INBOX_FILTERS
    list_fullwidth = True
    list_select_related = ("agent__owner", "requested_by")
    search_fields = ("id", "target")  # shows the box; get_search_results decides
    search_help_text = SEARCHED_BY

    # --- Its columns ----------------------------------------------------------------------------

    def tier(self, row: Row) -> SafeString:
        tier = row.request.risk_tier
        tone, words = ("5", "?") if tier is None else (str(tier), str(tier))
        return format_html('<span class="cs-tier is-{}" title="Risk tier">T{}</span>', tone, words)

    def effect(self, row: Row) -> SafeString:
        return render_to_string("approvals/inbox_effect.html", {"row": row})

    def amount(self, row: Row) -> str:
        return row.amount

    def progress(self, row: Row) -> SafeString | str:
        if not row.progress:
            return ""
        return format_html('{}<span class="cs-hidden"> approvals</span>', row.progress)

    def deadline(self, row: Row) -> SafeString | str:
        shown = countdown(row.deadline, at=row.at)
        if shown is None:
            return ""
        return render_to_string("approvals/inbox_deadline.html", {"clock": shown})

    # --- The list -------------------------------------------------------------------------------

    def get_ordering(self, request: HttpRequest) -> Sequence[str]:
        return view_asked_for(request).order

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TabChangeList

    def tab(self, request: HttpRequest, view: View) -> Requests:
        """What one tab shows to a member, unordered."""
        viewer, at = cast(User, request.user), db_clock.now_of_page()
        return listed(self.team, view, at=at, viewer=viewer, requests=self.for_members(request))

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **kwargs: Any) -> Any:
        """How many a whole tab has is said on the tab; what is narrowed is only paged through.

        Counted to the end of the next page, as a filter may have to look at very many to find few.
        """
        paginator = super().get_paginator(request, queryset, *args, **kwargs)
        current = view_asked_for(request)
        if _is_narrowed(request):
            shown = in_order(queryset, current).values("pk")
            most = min((_page(request) + 1) * self.list_per_page, MOST_COUNTED)
            paginator.count = shown[:most].count()
            paginator.template_name = InfinitePaginator.template_name
        else:
            paginator.count = self._counts(request)[current.key]
        return paginator

    def _counts(self, request: HttpRequest) -> dict[str, int]:
        viewer = cast(User, request.user)
        return counts_of_tabs(self.team, viewer=viewer, at=db_clock.now_of_page())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return queryset.filter(matching(search_term)), False

    # --- What a page that stays open asks for ---------------------------------------------------

    def team_urls(self) -> list[URLPattern]:
        """With what the open list asks for; it answers at once, nobody's thread waits."""
        live = self.admin_site.admin_view(require_safe(self._view_of_team("live_view")))
        return [path("live/", live, name="inbox_live"), *super().team_urls()]

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """The counts now, which of the rows shown (`ids`) no longer belong here, and who has them.

        `new`: how many others stand where the first page shows its rows.
        """
        if not self.is_member(request):
            raise PermissionDenied
        viewer = cast(User, request.user)
        view, at = view_asked_for(request), db_clock.now_of_page()
        asked = request.GET.get("ids", "").split(",")[: self.list_per_page]
        shown = {one for one in map(as_uuid, asked) if one is not None}
        tab = self.tab(request, view)
        here = set(tab.filter(pk__in=shown).order_by().values_list("pk", flat=True))
        first = tab.order_by(*view.order).values_list("pk", flat=True)[: self.list_per_page]
        counts = self._counts(request)
        answer = JsonResponse(
            {
                "counts": {
                    one.key: counts[FOR_VIEWER if one is TO_DECIDE else one.key]
                    for one in VIEWS
                    if one.counted
                },
                "gone": sorted(str(one) for one in shown - here),
                "new": len(set(first) - shown),
                "claims": {str(pk): name for pk, name in claimants_of(here, at=at, besides=viewer)},
            }
        )
        add_never_cache_headers(answer)
        return answer

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().changelist_view(
            request, {"title": self.name_for(request), **(extra_context or {})}
        )
        context = response.context_data if isinstance(response, TemplateResponse) else None
        if context and "cl" in context:
            # Nobody reads "15 results (Show all)": the tab says how many there are.
            context["cl"].full_result_count = context["cl"].result_count
            context |= self._list_context(request, context["cl"])
        return cast(HttpResponse, response)

    def _list_context(self, request: HttpRequest, changes: Any) -> dict[str, Any]:
        current, is_narrowed = view_asked_for(request), _is_narrowed(request)
        viewer, at = cast(User, request.user), db_clock.now_of_page()
        counts = self._counts(request)
        # sliced, as more may have come since they were counted than one page shows
        rows = rows_of(list(changes.result_list[: self.list_per_page]), viewer=viewer, at=at)
        return {
            "inbox_name": self.name_for(request),
            "bulk_url": f"{self.list_url}bulk/",
            "whom": spoken(self.team),
            "rows": [
                {
                    "url": self.review_url(row.request.pk),
                    "row": row,
                    "cells": [(name, getattr(self, name)(row)) for name in self.list_display],
                }
                for row in rows
            ],
            "current_view": current,
            "views": [
                {
                    "view": view,
                    "url": changes.get_query_string({"show": view.key}, ["p"]),
                    "is_current": view is current,
                    "count": counts[FOR_VIEWER if view is TO_DECIDE else view.key],
                }
                for view in VIEWS
                if view.counted
            ],
            "choosers": [spec for spec in changes.filter_specs if spec.parameter_name != "show"],
            "is_filtered": is_narrowed,
            **self.saved_views_context(request),
        }


def _is_narrowed(request: HttpRequest) -> bool:
    return any(request.GET.get(name) for name in _NARROWING)


def _page(request: HttpRequest) -> int:
    """The page in the address; what is not one is the first."""
    asked = request.GET.get(PAGE_VAR, "")
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 5 else 1
