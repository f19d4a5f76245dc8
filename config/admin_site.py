"""The back office: one admin site, opened by a landing page with the counts that matter."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import include, path, reverse
from unfold.sites import UnfoldAdminSite

from config.sign_in import OwnPasswordForm, ThrottledSignInForm


class CountersignSite(UnfoldAdminSite):  # type: ignore[misc]  # the theme is untyped
    """The theme's site under our name.

    Who is not signed in is asked to; who is, and may not be here, gets 403 rather than a second
    sign-in page that would only lead back.
    """

    site_title = "Countersign"
    site_header = "Countersign"
    index_title = "Today"
    index_template = "approvals/landing.html"
    login_form = ThrottledSignInForm

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """What every page has; the pauses are read by the page that shows them, and then once."""
        from approvals.models import Agent, Pause
        from approvals.selectors.pauses import stops_in_force

        context: dict[str, Any] = super().each_context(request)
        if self.has_permission(request):
            context["current_pauses"] = stops_in_force
            context["sees_pauses"] = partial(self._registry[Pause].has_view_permission, request)
            context["sees_agents"] = partial(self._registry[Agent].has_view_permission, request)
        return context

    def get_urls(self) -> list[Any]:
        """Every team's inbox has the same pages, at an address that begins with the team."""
        from approvals.admin.search import search
        from approvals.models import Inbox

        inboxes = self._registry[Inbox].team_urls()
        found = self.admin_view(partial(search, site=self))
        return [
            path("search/", found, name="search"),
            path("approvals/<team>inbox/", include(inboxes)),
            *super().get_urls(),
        ]

    def record_page(self, request: HttpRequest) -> str:
        """The name of the page of a request's record; "" for readers who may not open it."""
        from approvals.models import ActionRequest

        may = self._registry[ActionRequest].has_view_permission(request)
        return "admin:approvals_actionrequest_change" if may else ""

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The landing page."""
        # Here, because the apps' pages register with this very site while they are imported.
        from approvals.admin.dashboard import landing_context

        context = {**landing_context(request), **(extra_context or {})}
        page: TemplateResponse = super().index(request, context)
        return page

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The sign-in page, for people who are not signed in."""
        known = request.method == "GET" and request.user.is_authenticated
        if known and not self.has_permission(request):
            raise PermissionDenied
        answer: HttpResponse = super().login(request, extra_context)
        return answer

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One's own password: a service changes it, so that it is on record."""
        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return cast(HttpResponse, view(request))
