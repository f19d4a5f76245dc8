"""The agents' addresses, below /api/v1/, with the document that describes them."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from approvals.api import (
    change_views,
    complaint_views,
    grant_views,
    index_view,
    plan_views,
    views,
)
from approvals.api.claims import ClaimsView
from approvals.api.client_file import ClientFileView


class AgentScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Bearer keys and tokens (RFC 6750); registered by being defined."""

    target_class = "approvals.api.authentication.AgentAuthentication"
    name = ["agentKey", "agentToken"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{name: []} for name in self.name]  # either of them

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        jwt = "A JWT of an issuer registered for the agent, at most an hour long."
        return [
            {"type": "http", "scheme": "bearer", "description": "An agent key: csk_…"},
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": jwt},
        ]


app_name = "api"

urlpatterns = [
    path("", index_view.IndexView.as_view(), name="index"),
    path("actions/", views.ActionsView.as_view(), name="actions"),
    path("actions/check/", views.CheckView.as_view(), name="check"),
    path("actions/changes/", change_views.ChangesView.as_view(), name="changes"),
    path("actions/<uuid:request_id>/", views.ActionView.as_view(), name="action"),
    path("actions/<uuid:request_id>/withdraw/", views.WithdrawView.as_view(), name="withdraw"),
    path("actions/<uuid:request_id>/answer/", views.AnswerView.as_view(), name="answer"),
    path("actions/<uuid:request_id>/undo/", views.UndoView.as_view(), name="undo"),
    path("actions/<uuid:request_id>/redeem/", grant_views.RedeemView.as_view(), name="redeem"),
    path("actions/<uuid:request_id>/report/", grant_views.ReportView.as_view(), name="report"),
    path(
        "actions/<uuid:request_id>/complaints/",
        complaint_views.ComplaintsView.as_view(),
        name="complaints",
    ),
    path("plans/", plan_views.PlansView.as_view(), name="plans"),
    path("plans/<uuid:plan_id>/", plan_views.PlanView.as_view(), name="plan"),
    path(
        "plans/<uuid:plan_id>/withdraw/",
        plan_views.WithdrawPlanView.as_view(),
        name="withdraw-plan",
    ),
    path("action-types/", views.ActionTypesView.as_view(), name="action-types"),
    path("claims/", ClaimsView.as_view(), name="claims"),
    path("client/", ClientFileView.as_view(), name="client"),
    path("schema/", SpectacularAPIView.as_view(api_version="1"), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api:schema"), name="docs"),
]
