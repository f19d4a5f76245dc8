"""Every address of the system."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from approvals.admin.request_record import open_review
from approvals.mcp.resource_metadata import resource_metadata
from config import probes
from config.sign_in import choose_password

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("password/", choose_password, name="choose_password"),
    path("review/<uuid:request_id>/", open_review, name="review"),
    path("api/v1/", include("approvals.api.urls")),
    path("mcp/", include("approvals.mcp.urls")),
    path(
        ".well-known/oauth-protected-resource/mcp", resource_metadata, name="mcp_resource_metadata"
    ),
    path("", include("approvals.authzen.urls")),
    path("healthz", probes.live, name="healthz"),
    path("readyz", probes.ready, name="readyz"),
]

handler400 = "config.problems.bad_request"
handler403 = "config.problems.permission_denied"
handler404 = "config.problems.not_found"
handler500 = "config.problems.server_error"
