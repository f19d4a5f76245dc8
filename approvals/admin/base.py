"""The inbox every team gets: its own list, its own review page, its own doors, and no other's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, cast
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.cache import never_cache

from approvals.admin.desk import DESK_DOORS, DeskDoor, go_through
from approvals.admin.doors import DOORS, Door
from approvals.admin.filters import INBOX_FILTERS, view_asked_for
from approvals.admin.review import answer, show
from approvals.admin.timing import countdown
from approvals.models import ActionRequest
from approvals.selectors import clock
from approvals.selectors.glass import open_to_breakers
from approvals.selectors.inbox import VIEWS, capped, in_view, requests_of, rows_of, teams_of
from audit.read_only_admin import ReadOnlyAdmin
from policies.models import User


class InboxAdmin(ReadOnlyAdmin):
    """One team's inbox. Membership opens it; permissions and superusers do not.

    The list and the review page only read. Each decision has an address of its own that takes
    POST and nothing else (`doors`), so that neither a prefetch nor a link ever decides.
    """

    team: ClassVar[str]
    change_list_template = "approvals/inbox.html"
    list_display = ("__str__",)  # the template shows rows of its own
    list_filter = INBOX_FILTERS
    list_fullwidth = True
    list_select_related = ("agent",)
    search_fields = ("id", "target")  # shows the box; get_search_results decides
    search_help_text = "The whole id of a request, or the beginning of a target."

    # --- Who comes in ---------------------------------------------------------------------------

    def is_member(self, request: HttpRequest) -> bool:
        """Is the signed-in account in this team? The database is asked once a request."""
        teams = getattr(request, "countersign_teams", None)
        if teams is None:
            user = request.user
            teams = teams_of(user) if isinstance(user, User) else ()
            request.countersign_teams = teams  # type: ignore[attr-defined]
        return self.team in teams

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self.is_member(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.is_member(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What the team was ever asked about; nothing for anybody else."""
        requests = requests_of(self.team, super().get_queryset(request))
        return requests if self.is_member(request) else requests.none()

    # --- The list -------------------------------------------------------------------------------

    def get_ordering(self, request: HttpRequest) -> Sequence[str]:
        return view_asked_for(request).order

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An exact id, or the beginning of a target, spelt as it is spelt there."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if (request_id := _uuid(term)) is not None:
            return queryset.filter(pk=request_id), False
        return queryset.filter(target__startswith=term), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().changelist_view(
            request, {"title": f"{self.team.capitalize()} inbox", **(extra_context or {})}
        )
        context = response.context_data if isinstance(response, TemplateResponse) else None
        if context and "cl" in context:
            # Nobody reads "15 results (Show all)": the tab says how many there are.
            context["cl"].full_result_count = context["cl"].result_count
            context |= self._list_context(request, context["cl"])
        return cast(HttpResponse, response)

    def _list_context(self, request: HttpRequest, changes: Any) -> dict[str, Any]:
        at = clock.now()
        requests, current = self.get_queryset(request), view_asked_for(request)
        viewer = cast(User, request.user)
        is_filtered = bool(
            {"tier", "action_type", "agent_team", "q"} & set(changes.params) or changes.query
        )
        rows = rows_of(list(changes.result_list), viewer=viewer, at=at)
        return {
            "team": self.team,
            "rows": [
                {
                    "row": row,
                    "url": self.review_url(row.request.pk),
                    "clock": countdown(row.clock, at=at),
                }
                for row in rows
            ],
            "current_view": current,
            "views": [
                {
                    "view": view,
                    "url": changes.get_query_string({"show": view.key}, ["p"]),
                    "is_current": view is current,
                    "count": changes.result_count
                    if view is current and not is_filtered
                    else capped(in_view(requests, self.team, view, at=at, viewer=viewer)),
                }
                for view in VIEWS
                if view.counted
            ],
            "choosers": [spec for spec in changes.filter_specs if spec.parameter_name != "show"],
            "is_filtered": is_filtered,
        }

    # --- The review page and its doors ------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        doors = [
            path(
                f"<path:object_id>/{door.slug}/",
                never_cache(partial(self.door_view, door=door)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{door.name}",
            )
            for door in DOORS
        ]
        desk = [
            path(
                f"<path:object_id>/{door.slug}/",
                never_cache(partial(self.desk_view, door=door)),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{door.name}",
            )
            for door in DESK_DOORS
        ]
        return [*doors, *desk, *super().get_urls()]

    def review_url(self, request_id: UUID) -> str:
        return reverse(f"admin:approvals_{self.opts.model_name}_change", args=[request_id])

    def door_url(self, request_id: UUID, door: Door) -> str:
        name = f"admin:approvals_{self.opts.model_name}_{door.name}"
        return reverse(name, args=[request_id])

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The review page."""
        return show(self, request, self.fetch(request, object_id))

    def door_view(self, request: HttpRequest, object_id: str, *, door: Door) -> HttpResponseBase:
        """Take one decision, by POST alone."""
        refused = self._not_a_post(request, object_id)
        return refused or answer(self, request, self.fetch(request, object_id), door)

    def desk_view(
        self, request: HttpRequest, object_id: str, *, door: DeskDoor
    ) -> HttpResponseBase:
        """Say who works on it, by POST alone, and come back to its page."""
        refused = self._not_a_post(request, object_id)
        return refused or go_through(self, request, self.fetch(request, object_id), door)

    def _not_a_post(self, request: HttpRequest, object_id: str) -> HttpResponseBase | None:
        request_id = _uuid(object_id)
        if request_id is None:
            raise Http404
        if not self.admin_site.has_permission(request):
            # Back to the page, not to this address, which answers no GET.
            return redirect_to_login(self.review_url(request_id), reverse("admin:login"))
        if request.method != "POST":
            return self._not_by_opening(request, request_id)
        return None

    def fetch(self, request: HttpRequest, object_id: str) -> ActionRequest:
        """The request, if it is this team's. Another team's does not exist here."""
        if not self.admin_site.has_permission(request):
            raise PermissionDenied
        request_id = _uuid(object_id)
        if request_id is None:
            raise Http404
        found = self.get_queryset(request).filter(pk=request_id).first()
        # whoever may break the glass opens what waits, whichever team is asked
        found = found or open_to_breakers(cast(User, request.user)).filter(pk=request_id).first()
        if found is None:
            raise Http404
        # Concrete from here on: a proxy would write its history somewhere else.
        return ActionRequest.objects.select_related("agent__owner", "requested_by").get(pk=found.pk)

    def _not_by_opening(self, request: HttpRequest, request_id: UUID) -> HttpResponse:
        page = {
            "status": 405,
            "title": "Nothing is decided by opening an address",
            "detail": "Decisions are sent from the forms on the request's page.",
            "link": self.review_url(request_id),
            "link_text": "Open the request",
        }
        response = render(request, "error.html", page, status=405)
        response["Allow"] = "POST"
        return response


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
