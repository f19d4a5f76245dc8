"""Stories about webhooks: registering, sending what is due, letting time pass."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import F

from approvals.models import ActionRequest, WebhookDelivery, WebhookEndpoint
from approvals.selectors.webhooks import due
from approvals.services.webhook_delivery import deliver
from approvals.services.webhooks import register_webhook
from audit.actors import Actor
from audit.lib import db_clock
from tests.agents.server import Told, ok, problem
from tests.approvals.make import Cast, crm, make_request

OK = ok({})
DOWN = problem(503, "away")


def olga(cast: Cast) -> Actor:
    return Actor.human(cast.agent.owner)


def register(cast: Cast, told: Told, path: str = "/hook") -> tuple[WebhookEndpoint, str]:
    issued = register_webhook(cast.agent.pk, url=f"{told.url}{path}", actor=olga(cast))
    return issued.endpoint, issued.secret


def a_change(cast: Cast, record: str, **fields: Any) -> ActionRequest:
    """A change of that record, which waits for operations."""
    return make_request(cast.agent, crm(record), action_type="crm.update", **fields)


def send_due() -> int:
    """What a sweep does about webhooks, once. How many were tried."""
    found = due(db_clock.now())
    for delivery in found:
        deliver(delivery)
    return len(found)


def time_passes(by: timedelta) -> None:
    """Everything about webhooks is that much longer ago, but what their ids are made of."""
    WebhookDelivery.objects.update(next_attempt_at=F("next_attempt_at") - by)
    for name in ("failing_since", "quiet_until", "owner_told_at"):
        rows = WebhookEndpoint.objects.exclude(**{name: None})
        rows.update(**{name: F(name) - by})


def told_of(told: Told) -> list[tuple[str, str]]:
    """Type and state of each message that arrived."""
    return [(asked.body["type"], asked.body["data"]["state"]) for asked in told.asked]


def ids(told: Told) -> list[str]:
    return [asked.headers["webhook-id"] for asked in told.asked]
