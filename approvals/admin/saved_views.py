"""The addresses under which a person names a view of an inbox, or forgets one."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from approvals.admin.bulk_page import BulkPageAdmin
from approvals.exceptions import ApprovalError, NotFound
from approvals.selectors.saved_views import forget_saved_views, query_of, saved_views_of
from approvals.services.saved_views import forget_view, save_view
from policies.models import User


class SavedViewsAdmin(BulkPageAdmin):
    """Adds a person's own views to a team's inbox."""

    def team_urls(self) -> list[URLPattern]:
        def post_only(name: str) -> Any:
            return self.admin_site.admin_view(require_POST(self._view_of_team(name)))

        return [
            path("views/", post_only("save_view_view"), name="inbox_save_view"),
            path(
                "views/<str:view_id>/forget/",
                post_only("forget_view_view"),
                name="inbox_forget_view",
            ),
            *super().team_urls(),
        ]

    def save_view_view(self, request: HttpRequest) -> HttpResponse:
        """Keep what the page showed, by the query it was opened with."""
        if not self.is_member(request):
            raise PermissionDenied
        sent = QueryDict(request.POST.get("query", "")[:1000])
        asked = {key: str(value) for key, value in sent.items()}
        try:
            saved = save_view(
                cast(User, request.user),
                self.team,
                name=request.POST.get("name", ""),
                asked=asked,
            )
        except ApprovalError as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(self._address(query_of(asked)))
        forget_saved_views(cast(User, request.user), self.team)
        messages.success(request, f"Saved as “{saved.name}”. It stands above the list.")
        return HttpResponseRedirect(self._address(saved.query))

    def forget_view_view(self, request: HttpRequest, view_id: str) -> HttpResponse:
        if not self.is_member(request):
            raise PermissionDenied
        if not (view_id.isascii() and view_id.isdecimal() and len(view_id) < 19):
            raise Http404
        try:
            name = forget_view(cast(User, request.user), int(view_id))
        except NotFound:
            raise Http404 from None
        forget_saved_views(cast(User, request.user), self.team)
        messages.success(request, f"“{name}” is forgotten.")
        return HttpResponseRedirect(self.list_url)

    def saved_views_context(self, request: HttpRequest) -> dict[str, Any]:
        """What the list shows of them."""
        current = query_of({key: str(value) for key, value in request.GET.items()})
        views = saved_views_of(cast(User, request.user), self.team, current=current)
        return {
            "saved_views": views,
            "current_query": current,
            "can_save_view": bool(current) and not any(view.is_current for view in views),
        }

    def _address(self, query: str) -> str:
        return f"{self.list_url}?{query}" if query else self.list_url
