"""What there is below /api/v1/, for whoever comes there first."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from approvals.api.output import IndexOutput
from approvals.api.views import AgentView

CALLS = {
    "POST actions/": "propose an action, with an Idempotency-Key",
    "POST actions/check/": "what would happen to a proposal now; stores nothing",
    "GET actions/": "list one's own requests",
    "GET actions/{request_id}/": "one of them; ?wait=30 waits for its next state",
    "GET actions/changes/": "what has changed since a cursor; ?wait=25 waits for the next change",
    "POST actions/{request_id}/withdraw/": "take a proposal back",
    "POST actions/{request_id}/answer/": "answer a reviewer, or supply evidence that is missing",
    "POST actions/{request_id}/undo/": "propose undoing what was done",
    "POST actions/{request_id}/redeem/": "take the grant of an action you carry out yourself, once",
    "POST actions/{request_id}/report/": "report what came of it",
    "POST actions/{request_id}/complaints/": "report a complaint about what was done",
    "POST plans/": "propose several actions, judged together and done in order",
    "GET plans/{plan_id}/": "one of one's own plans with its steps",
    "POST plans/{plan_id}/withdraw/": "take a plan back",
    "GET action-types/": "what this agent may propose, with JSON Schemas and examples",
}
"""Every call and what it does; a test holds them against the OpenAPI document."""


class IndexView(AgentView):
    """What there is; no key is needed to read it."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(summary="What there is", responses=IndexOutput, auth=[])
    def get(self, request: Request) -> Response:
        base = f"{settings.BASE_URL}{reverse('api:index')}"
        body = {
            "name": "Countersign",
            "about": "Agents propose bounded actions; people with the authority decide.",
            "authentication": "Authorization: Bearer <agent key>",
            "documentation": f"{settings.BASE_URL}{reverse('api:docs')}",
            "schema": f"{settings.BASE_URL}{reverse('api:schema')}",
            "calls": [
                {"method": method, "url": f"{base}{path}", "does": does}
                for call, does in CALLS.items()
                for method, path in [call.split()]
            ],
        }
        return Response(IndexOutput(body).data)
