"""A request as agents are answered about it, and as its pages show it."""

from __future__ import annotations

from typing import Any

from approvals.api.output import ActionOutput
from approvals.models import ActionRequest
from approvals.selectors.request_view import RequestView, prefetched


def view_of(request: ActionRequest) -> RequestView:
    """What pages and answers are made from, with everything read at once."""
    return RequestView(prefetched(ActionRequest.objects.filter(pk=request.pk)).get())


def answer_of(request: ActionRequest) -> dict[str, Any]:
    """What the agent is told."""
    data: dict[str, Any] = ActionOutput(view_of(request)).data
    return data
