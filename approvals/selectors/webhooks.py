"""What waits to be told to agents, where, and how their endpoints fare."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from approvals.models import Agent, WebhookDelivery, WebhookEndpoint

BATCH = 200
"""How many deliveries one pass takes on."""

WAITING = Q(delivered_at=None, given_up_at=None)


def is_registered(agent: Agent, url: str) -> bool:
    """Whether the agent is told things at that address."""
    return agent.webhook_endpoints.filter(url=url, disabled_at=None).exists()


def due(at: datetime) -> list[int]:
    """Deliveries to try now. One to an endpoint that fails: the others would only wait with it."""
    rows = (
        WebhookDelivery.objects.filter(WAITING, next_attempt_at__lte=at)
        .filter(Q(endpoint__quiet_until=None) | Q(endpoint__quiet_until__lte=at))
        .filter(endpoint__disabled_at=None)
        .order_by("next_attempt_at")
        .values_list("pk", "endpoint_id", "endpoint__failing_since")
    )
    return list(_one_to_each_failing(rows[:BATCH]))


def _one_to_each_failing(
    rows: QuerySet[WebhookDelivery, tuple[int, int, datetime | None]],
) -> Iterator[int]:
    failing = set()
    for pk, endpoint, failing_since in rows:
        if failing_since is not None:
            if endpoint in failing:
                continue
            failing.add(endpoint)
        yield pk


def endpoints_of(agent: Agent) -> QuerySet[WebhookEndpoint]:
    """Its endpoints, each with how many deliveries wait and were given up."""
    waiting = Q(deliveries__delivered_at=None, deliveries__given_up_at=None)
    given_up = Q(deliveries__given_up_at__isnull=False, deliveries__attempts__gt=0)
    return agent.webhook_endpoints.annotate(
        waiting=Count("deliveries", filter=waiting),
        given_up=Count("deliveries", filter=given_up),
    )


def undelivered(agent: Agent, *, most: int = 20) -> list[WebhookDelivery]:
    """The newest that have failed at least once and are not delivered."""
    failed = WebhookDelivery.objects.filter(endpoint__agent=agent, delivered_at=None)
    return list(failed.filter(attempts__gt=0).select_related("endpoint")[:most])
