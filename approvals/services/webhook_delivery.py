"""Telling agents by webhook: at least once, for days, and what they are told is how it is now.

Claimed and settled like an execution: the claim is committed before the call, so a worker that
dies has its delivery tried again after the lease, under the same message id.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F
from standardwebhooks.webhooks import Webhook

from approvals.domain import notifications
from approvals.models import Agent, WebhookDelivery, WebhookEndpoint
from approvals.selectors.requests import proposal_of
from approvals.selectors.webhooks import WAITING
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record
from connectors import webhooks as outside
from connectors.authentication.encryption import KeyMissing, decrypt
from connectors.outbound import AddressRefused, NotSent

LEASE = timedelta(minutes=1)
"""Longer than a call may take; then another worker tries it."""
SCHEDULE = (
    *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
"""How long after each failed try the next one is made (Standard Webhooks 1.0): three days."""
GIVE_UP_AFTER = sum(SCHEDULE, timedelta())
LONGEST_QUIET = timedelta(minutes=10)
"""An endpoint that is down is tried with one delivery each so often; once it is up, all go out."""
TELL_OWNER_AFTER = timedelta(hours=1)
A_SPELL = timedelta(minutes=5)
"""Failing for longer is being down; for less, it may be about the one message."""

SENDER = Actor.system("webhooks")

Body = Callable[[UUID], JsonObject]
_body: list[Body] = []


def body_of_request(function: Body) -> Body:
    """Names the function that tells a request as the API does; the edge that has it says so."""
    _body[:] = [function]
    return function


@dataclass(frozen=True, slots=True)
class _Claimed:
    delivery: WebhookDelivery
    endpoint: WebhookEndpoint
    at: datetime


def deliver(delivery_id: int) -> None:
    """Try one delivery, if it is due."""
    claimed = _claim(delivery_id)
    if claimed is None:
        return
    try:
        answer = outside.send(claimed.endpoint.url, *_message(claimed))
    except (AddressRefused, KeyMissing) as refused:
        _failed(claimed, str(refused))
    except NotSent as error:
        _failed(claimed, f"No answer: {error}.")
    else:
        if 200 <= answer.status < 300:
            _delivered(claimed)
        elif answer.status == 410:
            _gone(claimed)
        else:
            _failed(claimed, f"It answered {answer.status}.", asked=answer.retry_after)


@transaction.atomic
def _claim(delivery_id: int) -> _Claimed | None:
    at = db_clock.now()
    delivery = (
        WebhookDelivery.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("endpoint", "request")
        .filter(WAITING, pk=delivery_id, next_attempt_at__lte=at, endpoint__disabled_at=None)
        .first()
    )
    if delivery is None:
        return None
    named = proposal_of(delivery.request).callback_url
    if named and named != delivery.endpoint.url:
        delivery.given_up_at, delivery.problem = at, "The proposal names another endpoint."
        delivery.save(update_fields=["given_up_at", "problem"])
        return None
    delivery.attempts += 1
    delivery.next_attempt_at = at + LEASE
    delivery.save(update_fields=["attempts", "next_attempt_at"])
    return _Claimed(delivery, delivery.endpoint, at)


def _message(claimed: _Claimed) -> tuple[bytes, dict[str, str]]:
    """The body, and headers with a signature by each secret that counts (Standard Webhooks)."""
    (body_of,) = _body
    data = body_of(claimed.delivery.request_id)
    message = {
        "type": f"action.{data['outcome']}",
        "timestamp": claimed.delivery.created_at.isoformat(),
        "data": data,
    }
    text, message_id = json.dumps(message), claimed.delivery.message_id
    signed = [
        Webhook(secret).sign(message_id, claimed.at, text)
        for secret in secrets_of(claimed.endpoint, claimed.at)
    ]
    return text.encode(), {
        "Content-Type": "application/json",
        "User-Agent": "Countersign",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(claimed.at.timestamp())),
        "webhook-signature": " ".join(signed),
    }


def secrets_of(endpoint: WebhookEndpoint, at: datetime) -> list[str]:
    """The secret, and the old one for as long as it counts beside it."""
    until = endpoint.old_secret_until
    old = [endpoint.old_secret] if until is not None and at < until else []
    return [decrypt(kept) for kept in [endpoint.secret, *old]]


@transaction.atomic
def _delivered(claimed: _Claimed) -> None:
    at = db_clock.now()
    endpoint = _locked(claimed)
    WebhookDelivery.objects.filter(pk=claimed.delivery.pk).update(delivered_at=at, problem="")
    was_down = endpoint.failing_since is not None and at - endpoint.failing_since > A_SPELL
    if endpoint.failing_since is not None:
        endpoint.failing_since = endpoint.quiet_until = endpoint.owner_told_at = None
        endpoint.failures = 0
        _save(endpoint)
    if was_down:  # what waited for it need not wait any longer
        waiting = endpoint.deliveries.filter(WAITING, next_attempt_at__gt=at, attempts__gt=0)
        waiting.update(next_attempt_at=at)


@transaction.atomic
def _failed(claimed: _Claimed, problem: str, *, asked: int = 0) -> None:
    at = db_clock.now()
    endpoint, delivery = _locked(claimed), claimed.delivery
    step = SCHEDULE[min(delivery.attempts, len(SCHEDULE)) - 1]
    pause = max(step * random.uniform(1, 1.1), timedelta(seconds=asked))  # noqa: S311 - no secret
    is_over = at - delivery.created_at >= GIVE_UP_AFTER and delivery.attempts >= len(SCHEDULE)
    # another worker's try, after a lease that ran out, counts instead of this one
    WebhookDelivery.objects.filter(WAITING, pk=delivery.pk, attempts=delivery.attempts).update(
        problem=problem[:200],
        next_attempt_at=at + pause,
        given_up_at=at if is_over else None,
    )
    endpoint.failing_since = endpoint.failing_since or at
    endpoint.failures = F("failures") + 1
    quiet = min(timedelta(seconds=5) * 2 ** min(claimed.endpoint.failures, 10), LONGEST_QUIET)
    endpoint.quiet_until = at + max(quiet, timedelta(seconds=min(asked, 600)))
    is_long = at - endpoint.failing_since >= TELL_OWNER_AFTER
    if (is_long or is_over) and endpoint.owner_told_at is None:
        endpoint.owner_told_at = at
        notifications.webhook_fails(delivery.request)
    _save(endpoint)


@transaction.atomic
def _gone(claimed: _Claimed) -> None:
    """410: whoever is there wants nothing any more."""
    agent = Agent.objects.select_for_update(no_key=True).get(pk=claimed.endpoint.agent_id)
    endpoint = _locked(claimed)
    WebhookDelivery.objects.filter(pk=claimed.delivery.pk).update(problem="It answered 410.")
    if endpoint.disabled_at is None:
        disable(endpoint, agent, actor=SENDER, reason="gone", at=db_clock.now())
        notifications.webhook_disabled(claimed.delivery.request)


def disable(
    endpoint: WebhookEndpoint, agent: Agent, *, actor: Actor, reason: str, at: datetime
) -> None:
    """Stop telling anything there. Both rows are locked."""
    endpoint.disabled_at, endpoint.disabled_reason = at, reason
    endpoint.save(update_fields=["disabled_at", "disabled_reason"])
    data: JsonObject = {"url": endpoint.url, "reason": reason}
    record(AuditCode.WEBHOOK_DISABLED, actor=actor, subject=agent, data=data, at=at)


def _locked(claimed: _Claimed) -> WebhookEndpoint:
    return WebhookEndpoint.objects.select_for_update().get(pk=claimed.endpoint.pk)


def _save(endpoint: WebhookEndpoint) -> None:
    endpoint.save(update_fields=["failing_since", "failures", "quiet_until", "owner_told_at"])
