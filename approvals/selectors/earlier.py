"""What came before a request: the same thing proposed, rejected, or overridden by people."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from approvals.choices import DONE, DecisionVerdict
from approvals.models import ActionRequest, Agent, Decision

DAY = timedelta(hours=24)
MONTH = timedelta(days=30)
_LONGEST_OPEN = timedelta(days=15)
"""Nobody decides on what was proposed longer ago than that; keeps look-ups to a piece of an index.
"""


def duplicates_of(business_key: str, *, at: datetime, but: UUID | None = None) -> int:
    """Others with the same business key that were judged and have not ended without effect.

    Exact under the lock of their target's counter: of two equal ones the second sees the first.
    """
    others = ActionRequest.objects.filter(
        business_key=business_key,
        created_at__gte=at - DAY,
        counted__isnull=False,
        counted__taken_out_at=None,
    )
    return others.exclude(pk=but).count() if but else others.count()


def rejections_of(business_key: str, digest: str, *, at: datetime) -> int:
    """How often a person rejected exactly this action in 24 hours, whoever proposed it."""
    return _rejections(business_key, digest, at).count()


def last_rejection_of(business_key: str, digest: str, *, at: datetime) -> Decision | None:
    """The latest of those."""
    return _rejections(business_key, digest, at).select_related("request").last()


def overrides_of(agent: Agent, action_type: str, *, at: datetime) -> int:
    """How many of the agent's proposals of that kind people rejected or edited in 30 days."""
    return (
        Decision.objects.filter(
            request__agent=agent,
            request__id__gte=first_id_at(at - MONTH - _LONGEST_OPEN),
            request__action_type=action_type,
            verdict__in=[DecisionVerdict.REJECT, DecisionVerdict.EDIT],
            created_at__gte=at - MONTH,
        )
        .values("request")
        .distinct()
        .count()
    )


def succeeded_for(counterparty: str, action_type: str) -> bool:
    """Has any request of that kind to that counterparty been carried out?"""
    return ActionRequest.objects.filter(
        # in the order of the index that holds only these
        counterparty=counterparty,
        action_type=action_type,
        state__in=sorted(DONE),
    ).exists()


def first_id_at(at: datetime) -> UUID:
    """The smallest id a request could have got then: UUIDv7 begins with milliseconds (RFC 9562)."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def _rejections(business_key: str, digest: str, at: datetime) -> QuerySet[Decision]:
    return Decision.objects.filter(
        request__business_key=business_key,
        digest=digest,
        verdict=DecisionVerdict.REJECT,
        created_at__gte=at - DAY,
        created_at__lte=at,
    ).order_by("id")
