"""Somebody signed in, what a page said, and what they left in the trail."""

from __future__ import annotations

from django.test import Client

from audit.models import AuditEvent
from policies.models import User


def visit(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def codes() -> list[str]:
    """What was recorded by people, newest last."""
    events = AuditEvent.objects.filter(actor_kind="human").order_by("id")
    return list(events.values_list("code", flat=True))


def said(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined, no-any-return]
