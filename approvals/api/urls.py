"""The agents' addresses, below /api/v1/."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from approvals.api import openapi, views

app_name = "api"

__all__ = ["app_name", "openapi", "urlpatterns"]

urlpatterns = [
    path("actions/", views.ActionsView.as_view(), name="actions"),
    path("actions/check/", views.CheckView.as_view(), name="check"),
    path("actions/<uuid:request_id>/", views.ActionView.as_view(), name="action"),
    path("actions/<uuid:request_id>/withdraw/", views.WithdrawView.as_view(), name="withdraw"),
    path("actions/<uuid:request_id>/answer/", views.AnswerView.as_view(), name="answer"),
    path("actions/<uuid:request_id>/undo/", views.UndoView.as_view(), name="undo"),
    path("action-types/", views.ActionTypesView.as_view(), name="action-types"),
    path("schema/", SpectacularAPIView.as_view(api_version="1"), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api:schema"), name="docs"),
]
