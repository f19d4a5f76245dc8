"""Where an agent is told of its requests: registered, stopped, replayed by who answers for it."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from approvals.choices import INTAKE
from approvals.exceptions import ApprovalError, NotFound
from approvals.models import ActionRequest, Agent, WebhookDelivery, WebhookEndpoint
from approvals.services.agents import require_owner
from approvals.services.webhook_delivery import disable
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record
from connectors.authentication.encryption import encrypt, is_possible
from connectors.outbound import AddressRefused
from connectors.webhooks import check_address

MOST_ENDPOINTS = 5
MOST_REPLAYED = 1_000
LONGEST_OVERLAP = timedelta(days=7)
LONGEST_REPLAY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class IssuedSecret:
    """A new secret, shown once; it is kept encrypted."""

    endpoint: WebhookEndpoint
    secret: str


@transaction.atomic
def register_webhook(agent_id: int, *, url: str, actor: Actor) -> IssuedSecret:
    """Tell the agent of its requests there from now on.

    Raises ApprovalError: address_refused, credentials_key_missing, too_many_endpoints,
    already_registered; NotAuthorised unless the actor may keep the agent.
    """
    agent = _kept(agent_id, actor)
    try:
        check_address(url)
    except AddressRefused as refused:
        raise ApprovalError(str(refused), code="address_refused") from None
    if agent.webhook_endpoints.filter(url=url).exists():
        raise ApprovalError("This address is registered already.", code="already_registered")
    if agent.webhook_endpoints.filter(disabled_at=None).count() >= MOST_ENDPOINTS:
        raise ApprovalError(
            f"An agent has at most {MOST_ENDPOINTS} endpoints.", code="too_many_endpoints"
        )
    secret, kept = _new_secret()
    at = db_clock.now()
    endpoint = WebhookEndpoint.objects.create(agent=agent, url=url, secret=kept, created_at=at)
    record(AuditCode.WEBHOOK_REGISTERED, actor=actor, subject=agent, data={"url": url}, at=at)
    return IssuedSecret(endpoint, secret)


@transaction.atomic
def change_secret(endpoint_id: int, *, actor: Actor, overlap: timedelta) -> IssuedSecret:
    """Sign with a new secret; with the old one, too, for `overlap`, at most LONGEST_OVERLAP."""
    endpoint, agent = _endpoint(endpoint_id, actor)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ApprovalError("The old secret counts for at most seven days.", code="bad_overlap")
    secret, kept = _new_secret()
    at = db_clock.now()
    endpoint.old_secret, endpoint.secret = endpoint.secret, kept
    endpoint.old_secret_until = at + overlap
    endpoint.save(update_fields=["secret", "old_secret", "old_secret_until"])
    data: JsonObject = {"url": endpoint.url, "until": endpoint.old_secret_until.isoformat()}
    record(AuditCode.WEBHOOK_ROTATED, actor=actor, subject=agent, data=data, at=at)
    return IssuedSecret(endpoint, secret)


@transaction.atomic
def disable_webhook(endpoint_id: int, *, actor: Actor, reason: str) -> WebhookEndpoint:
    """Send nothing there any more. What waits stays, and goes out if it is enabled again."""
    endpoint, agent = _endpoint(endpoint_id, actor)
    if endpoint.disabled_at is not None:
        raise ApprovalError("This endpoint is disabled already.", code="already_disabled")
    disable(endpoint, agent, actor=actor, reason=reason.strip(), at=db_clock.now())
    return endpoint


@transaction.atomic
def enable_webhook(endpoint_id: int, *, actor: Actor) -> WebhookEndpoint:
    """Send there again, what waits first. What happened meanwhile is replayed if wanted."""
    endpoint, agent = _endpoint(endpoint_id, actor)
    if endpoint.disabled_at is None:
        raise ApprovalError("This endpoint is not disabled.", code="not_disabled")
    at = db_clock.now()
    endpoint.disabled_at, endpoint.disabled_reason = None, ""
    endpoint.failing_since = endpoint.quiet_until = endpoint.owner_told_at = None
    endpoint.failures = 0
    endpoint.save()
    record(AuditCode.WEBHOOK_ENABLED, actor=actor, subject=agent, data={"url": endpoint.url}, at=at)
    return endpoint


@transaction.atomic
def redeliver(delivery_id: int, *, actor: Actor) -> WebhookDelivery:
    """Send one again at once, under its old id, whatever came of it."""
    found = WebhookDelivery.objects.filter(pk=delivery_id).first()
    if found is None:
        raise NotFound("There is no such delivery.")
    endpoint, agent = _endpoint(found.endpoint_id, actor)
    at = db_clock.now()
    delivery = WebhookDelivery.objects.select_for_update().get(pk=delivery_id)
    delivery.delivered_at = delivery.given_up_at = None
    delivery.next_attempt_at = at
    delivery.save(update_fields=["delivered_at", "given_up_at", "next_attempt_at"])
    _record_sending(agent, endpoint, 1, actor, at)
    return delivery


@transaction.atomic
def replay(endpoint_id: int, *, since: datetime, actor: Actor) -> int:
    """Tell it how every request stands that changed since then. How many there are.

    At most LONGEST_REPLAY ago, and MOST_REPLAYED of them, the newest.
    """
    endpoint, agent = _endpoint(endpoint_id, actor)
    at = db_clock.now()
    if not at - LONGEST_REPLAY <= since <= at:
        raise ApprovalError("Replay at most the last seven days.", code="bad_range")
    changed = ActionRequest.objects.filter(agent=agent, updated_at__gte=since)
    rows = changed.exclude(state__in=INTAKE).order_by("-updated_at")[:MOST_REPLAYED]
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            endpoint=endpoint, request=request, state=request.state, created_at=at,
            next_attempt_at=at, attempts=0, problem="",
        )
        for request in reversed(rows)
    )  # fmt: skip
    _record_sending(agent, endpoint, len(rows), actor, at)
    return len(rows)


def _record_sending(
    agent: Agent, endpoint: WebhookEndpoint, count: int, actor: Actor, at: datetime
) -> None:
    data: JsonObject = {"url": endpoint.url, "count": count}
    record(AuditCode.WEBHOOK_SENT_AGAIN, actor=actor, subject=agent, data=data, at=at)


def _kept(agent_id: int, actor: Actor) -> Agent:
    agent = Agent.objects.select_for_update().get(pk=agent_id)
    require_owner(actor, agent.owner_id)
    return agent


def _endpoint(endpoint_id: int, actor: Actor) -> tuple[WebhookEndpoint, Agent]:
    """The endpoint and its agent, both locked, the agent first."""
    found = WebhookEndpoint.objects.filter(pk=endpoint_id).first()
    if found is None:
        raise NotFound("There is no such endpoint.")
    agent = _kept(found.agent_id, actor)
    return WebhookEndpoint.objects.select_for_update().get(pk=endpoint_id), agent


def _new_secret() -> tuple[str, str]:
    """In clear and as it is kept (Standard Webhooks: 24 to 64 random bytes)."""
    if not is_possible():
        raise ApprovalError(
            "Webhooks need CREDENTIALS_KEY: their secrets are kept encrypted.",
            code="credentials_key_missing",
        )
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    return secret, encrypt(secret)
