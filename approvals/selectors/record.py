"""Reading a whole record: one statement tells which of its parts there are, one each reads them.

Most records lack most parts: nobody asked anything, nothing was escalated, nothing is undone.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, Model, OuterRef, QuerySet

from approvals.models import (
    ActionRequest,
    Attempt,
    Compensation,
    Decision,
    Escalation,
    Execution,
    Grant,
    Requirement,
    ThreadEntry,
    Verification,
)

_PARTS: dict[str, tuple[type[Model], str]] = {
    "requirements": (Requirement, "request"),
    "decisions": (Decision, "request"),
    "thread": (ThreadEntry, "request"),
    "escalations": (Escalation, "request"),
    "grants": (Grant, "request"),
    "executions": (Execution, "request"),
    "attempts": (Attempt, "execution__request"),
    "verifications": (Verification, "execution__request"),
    "compensations": (Compensation, "original"),
}
"""What a record may have, and how its rows lead to it."""


def with_parts(requests: QuerySet[ActionRequest]) -> QuerySet[ActionRequest]:
    """The requests with whom their records name, and with which parts there are of them."""
    there = {
        _flag(name): Exists(model._default_manager.filter(**{path: OuterRef("pk")}).order_by())
        for name, (model, path) in _PARTS.items()
    }
    return requests.select_related("agent__owner", "requested_by").annotate(**there)


def part_of(request: ActionRequest, name: str) -> QuerySet[Any]:
    """The rows of one part. Where `with_parts` saw none, nobody is asked again."""
    model, path = _PARTS[name]
    rows = model._default_manager.filter(**{path: request})
    return rows if getattr(request, _flag(name), True) else rows.none()


def _flag(name: str) -> str:
    return f"has_{name}"
