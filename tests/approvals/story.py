"""What happened to a request, by its rows and its trail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import Model, QuerySet

from approvals.lifecycle import state_after
from approvals.models import ActionRequest
from audit.events import AuditCode, Personal
from audit.models import AuditEvent, Chained
from audit.services import subject_label
from tests.approvals.make import fresh

INTAKE = [
    "request.requested",
    "request.classified",
    "request.evidence_collected",
    "request.policy_checked",
]
ROUTED = [*INTAKE, "request.routed"]
ALLOWED = [*INTAKE, "request.allowed", "grant.issued"]
DECIDED = ["decision.recorded", "request.approved", "grant.issued"]
DONE = [
    "grant.consumed",
    "request.execution_begun",
    "request.executed",
    "request.verified",
    "request.signed_off",
]


def codes(subject: Chained) -> list[str]:
    """The subject's event codes, oldest first; whom it was suggested to left out."""
    events = AuditEvent.objects.filter(
        subject_type=subject_label(subject), subject_id=str(subject.pk)
    ).exclude(code="request.assigned")
    return list(events.order_by("seq").values_list("code", flat=True))


def assert_codes_tell_states(events: QuerySet[AuditEvent]) -> None:
    """The codes alone lead to the state each event of a request carries."""
    told: dict[str, list[str]] = {}
    for event in events.filter(subject_type="approvals.actionrequest").order_by("id"):
        so_far = told.setdefault(event.subject_id, [])
        so_far.append(event.code)
        assert state_after(so_far) == event.state, (so_far, event.state)


def newest_event(subject: Chained) -> AuditEvent:
    """The last thing that happened to it."""
    return AuditEvent.objects.filter(
        subject_type=subject_label(subject), subject_id=str(subject.pk)
    ).latest("seq")


def assert_story(request: ActionRequest, state: str, expected: list[str]) -> None:
    """The request is in that state, its newest history row too, and exactly that happened."""
    found = fresh(request)
    row = found.history.order_by("-history_id").first()
    assert (found.state, row.state, row.version) == (state, state, found.version)
    assert row.history_change_reason
    assert codes(request) == expected


def snapshot(request: ActionRequest) -> tuple[Any, ...]:
    """Everything a refused attempt must leave as it was."""
    found = fresh(request)
    return (
        {f: v for f, v in vars(found).items() if not f.startswith(("_", "audit_"))},
        found.history.count(),
        list(found.requirements.values()),
        *(
            getattr(found, name).count()
            for name in ("decisions", "grants", "contents", "thread", "escalations", "executions")
        ),
    )


def rows_of(model: type[Model], **lookup: Any) -> list[dict[str, Any]]:
    """The rows as the database has them, to compare before and after."""
    return list(model._default_manager.filter(**lookup).order_by("pk").values())


def facts_of(request: ActionRequest) -> dict[str, Any]:
    """What policy was asked on last."""
    found: dict[str, Any] = json.loads(request.policy_decisions.latest("id").facts)
    return found


def assert_machine_readable(events: QuerySet[AuditEvent]) -> None:
    """Where no words are allowed there are codes, ids, names and lists: never a sentence."""
    for event in events:
        if AuditCode(event.code).personal != Personal.FREE_TEXT:
            for text in _texts_in(json.loads(event.data)):
                assert len(text.split()) < 4, (event.code, text)
                assert not text.endswith("."), (event.code, text)


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts_in(item)
