"""A request somebody can decide, and the way to answer it through its page."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.test import Client

from approvals.models import ActionRequest
from audit.models import AuditEvent
from tests.admin.make import action_url, look, seal_of
from tests.approvals.make import ticked

NOTHING_WRONG = {"reason_code": "as_proposed"}


def send(
    client: Client, request: ActionRequest, name: str, team: str = "finance", **data: Any
) -> HttpResponse:
    """Open the page, fill in the form, send it; an edit once the page says what comes of it."""
    data = {"seal": look(client, request, team), "confirmed": ticked(request), **data}
    answer = client.post(action_url(request, name, team), data)
    if name == "edit" and answer.status_code == 200:
        answer = client.post(action_url(request, name, team), {**data, "seal": seal_of(answer)})
    return answer


def codes_of(request: ActionRequest) -> list[str]:
    events = AuditEvent.objects.filter(subject_id=str(request.pk)).order_by("seq")
    return list(events.values_list("code", flat=True))
