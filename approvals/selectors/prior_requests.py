"""What came before a request: the same thing proposed, rejected, or overridden by people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, IntegerField, QuerySet, Subquery

from approvals.choices import DONE, DecisionVerdict
from approvals.models import ActionRequest, Agent, AgentBudget, Decision

DAY = timedelta(hours=24)
MONTH = timedelta(days=30)
_LONGEST_OPEN = timedelta(days=15)
"""Nobody decides on what was proposed longer ago than that; keeps look-ups to a piece of an index.
"""


class CountOf(Subquery):
    """How many rows a query finds, which may be sliced: nothing is grouped."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the records say of others like a candidate, and of its agent."""

    duplicates: int
    rejections: int
    overrides: int
    has_succeeded: bool
    has_budgets: bool


def earlier(
    agent: Agent,
    action_type: str,
    *,
    business_key: str,
    digest: str,
    counterparty: str,
    at: datetime,
    rejected_until: datetime,
    but: UUID | None,
) -> Earlier:
    """What came before a candidate, in one statement. `but` is the request itself, left out.

    Duplicates are exact under the lock of their target's counter: of two equal ones the second
    sees the first. Rejections count up to `rejected_until`.
    """
    row = (
        Agent.objects.filter(pk=agent.pk)
        .annotate(
            duplicates=CountOf(_duplicates(business_key, at, but)),
            rejections=CountOf(_rejections(business_key, digest, rejected_until).values("pk")),
            overrides=CountOf(_overrides(agent, action_type, at)),
            has_succeeded=Exists(_succeeded(counterparty, action_type)),
            has_budgets=Exists(AgentBudget.objects.filter(agent=agent, valid=True)),
        )
        .values_list("duplicates", "rejections", "overrides", "has_succeeded", "has_budgets")
        .get()
    )
    return Earlier(*row)


def _duplicates(business_key: str, at: datetime, but: UUID | None) -> QuerySet[ActionRequest, Any]:
    """Others with the same business key that were evaluated and have not ended without effect."""
    others = ActionRequest.objects.filter(
        business_key=business_key,
        created_at__gte=at - DAY,
        counted__isnull=False,
        counted__taken_out_at=None,
    )
    return (others.exclude(pk=but) if but else others).values("pk")


def last_rejection_of(business_key: str, digest: str, *, at: datetime) -> Decision | None:
    """The latest rejection of exactly this action in 24 hours, whoever proposed it."""
    return _rejections(business_key, digest, at).select_related("request").last()


def _overrides(agent: Agent, action_type: str, at: datetime) -> QuerySet[Decision, Any]:
    """The agent's proposals of that kind people rejected or edited in 30 days."""
    return (
        Decision.objects.filter(
            request__agent=agent,
            request__id__gte=first_id_at(at - MONTH - _LONGEST_OPEN),
            request__action_type=action_type,
            verdict__in=[DecisionVerdict.REJECT, DecisionVerdict.EDIT],
            created_at__gte=at - MONTH,
        )
        .order_by()
        .values("request")
        .distinct()
    )


def _succeeded(counterparty: str, action_type: str) -> QuerySet[ActionRequest]:
    """Requests of that kind to that counterparty that have been carried out."""
    return ActionRequest.objects.filter(
        # in the order of the index that holds only these
        counterparty=counterparty,
        action_type=action_type,
        state__in=sorted(DONE),
    )


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
