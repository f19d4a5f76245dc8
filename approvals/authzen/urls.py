"""The addresses AuthZEN names, and what leads to them."""

from __future__ import annotations

from django.urls import path

from approvals.authzen import views

app_name = "authzen"

urlpatterns = [
    path(".well-known/authzen-configuration", views.MetadataView.as_view(), name="metadata"),
    path("access/v1/evaluation", views.EvaluationView.as_view(), name="evaluation"),
    path("access/v1/requests", views.AccessRequestsView.as_view(), name="requests"),
    path("access/v1/requests/<uuid:request_id>", views.TaskView.as_view(), name="task"),
    path("access/v1/requests/<uuid:request_id>/cancel", views.CancelView.as_view(), name="cancel"),
]
