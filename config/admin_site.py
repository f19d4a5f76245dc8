"""The back office: one admin site, opened by a landing page with the counts that matter."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite


class CountersignSite(UnfoldAdminSite):
    """Unfold's site under our name."""

    site_title = "Countersign"
    site_header = "Countersign"
    index_title = "Today"
    enable_nav_sidebar = True

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The landing page."""
        return super().index(request, extra_context)
