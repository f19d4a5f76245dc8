"""What came before a request: the same thing proposed, rejected, or overridden by people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, IntegerField, QuerySet, Subquery

from approvals.choices import DONE, OPEN, DecisionVerdict
from approvals.models import ActionRequest, Agent, AgentBudget, Decision
from approvals.selectors.chains import LEFT_OUT, last_named
from audit.lib.prepared import Given, Prepared, Question

DAY = timedelta(hours=24)
MONTH = timedelta(days=30)
_LONGEST_OPEN = timedelta(days=15)
"""Nobody decides on what was proposed longer ago than that; keeps look-ups to a piece of an index.
"""


NOBODY = UUID(int=0)
"""Nothing has this id."""


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
    last_chain: str
    """That of the session its agent named last, not long ago; empty when it named none."""


def earlier(asked: Question) -> Earlier:
    """What came before a candidate, in one statement (`earlier_asked`)."""
    row: tuple[int, int, int, bool, bool, str | None] | None = asked.first()
    assert row is not None  # noqa: S101 - agents are not deleted
    return Earlier(*row[:-1], last_chain=row[-1] or "")


def earlier_asked(
    agent: Agent,
    action_type: str,
    *,
    business_key: str,
    digest: str,
    counterparty: str,
    at: datetime,
    rejected_until: datetime,
    but: UUID | None,
) -> Question:
    """What `earlier` asks. `but` is the request itself, left out.

    Duplicates are exact under the lock of their target's counter: of two equal ones the second
    sees the first. Rejections count up to `rejected_until`.
    """
    return _EARLIER.asking(
        agent=agent.pk,
        action_type=action_type,
        business_key=business_key,
        digest=digest,
        counterparty=counterparty,
        day_ago=at - DAY,
        month_ago=at - MONTH,
        first_id=first_id_at(at - MONTH - _LONGEST_OPEN),
        rejected_since=rejected_until - DAY,
        rejected_until=rejected_until,
        hour_ago_id=first_id_at(at - LEFT_OUT),
        but=but or NOBODY,
    )


def open_twins(business_key: str, *, but: UUID | None) -> QuerySet[ActionRequest]:
    """Requests for the same thing that have not ended, whoever proposed them, the newest first."""
    twins = ActionRequest.objects.filter(business_key=business_key, state__in=sorted(OPEN))
    return twins.exclude(pk=but or NOBODY).order_by("-id")


def last_rejection_of(business_key: str, digest: str, *, at: datetime) -> Decision | None:
    """The latest rejection of exactly this action in 24 hours, whoever proposed it."""
    return _rejections(business_key, digest, at - DAY, at).select_related("request").last()


def _earlier() -> QuerySet[Agent, Any]:
    """One row: the agent's, with what is counted and looked for beside it."""
    return (
        Agent.objects.filter(pk=Given("agent"))
        .annotate(
            duplicates=CountOf(_duplicates()),
            rejections=CountOf(
                _rejections(
                    Given("business_key"),
                    Given("digest"),
                    Given("rejected_since"),
                    Given("rejected_until"),
                ).values("pk")
            ),
            overrides=CountOf(_overrides()),
            has_succeeded=Exists(_succeeded()),
            has_budgets=Exists(AgentBudget.objects.filter(agent=Given("agent"), valid=True)),
            last_chain=Subquery(last_named().values("chain")[:1]),
        )
        .values_list(
            *("duplicates", "rejections", "overrides", "has_succeeded", "has_budgets"),
            "last_chain",
        )
    )


_EARLIER: Prepared[tuple[int, int, int, bool, bool, str | None]] = Prepared(_earlier)


def _duplicates() -> QuerySet[ActionRequest, Any]:
    """Others with the same business key that were evaluated and have not ended without effect."""
    return (
        ActionRequest.objects.filter(
            business_key=Given("business_key"),
            created_at__gte=Given("day_ago"),
            counted__isnull=False,
            counted__taken_out_at=None,
        )
        .exclude(pk=Given("but"))
        .values("pk")
    )


def _overrides() -> QuerySet[Decision, Any]:
    """The agent's proposals of that kind people rejected or edited in 30 days."""
    return (
        Decision.objects.filter(
            request__agent=Given("agent"),
            request__id__gte=Given("first_id"),
            request__action_type=Given("action_type"),
            verdict__in=[DecisionVerdict.REJECT, DecisionVerdict.EDIT],
            created_at__gte=Given("month_ago"),
        )
        .order_by()
        .values("request")
        .distinct()
    )


def _succeeded() -> QuerySet[ActionRequest]:
    """Requests of that kind to that counterparty that have been carried out."""
    return ActionRequest.objects.filter(
        # in the order of the index that holds only these
        counterparty=Given("counterparty"),
        action_type=Given("action_type"),
        state__in=sorted(DONE),
    )


def first_id_at(at: datetime) -> UUID:
    """The smallest id a request could have got then: UUIDv7 begins with milliseconds (RFC 9562)."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def _rejections(
    business_key: str | Given, digest: str | Given, since: datetime | Given, until: datetime | Given
) -> QuerySet[Decision]:
    return Decision.objects.filter(
        request__business_key=business_key,
        digest=digest,
        verdict=DecisionVerdict.REJECT,
        created_at__gte=since,
        created_at__lte=until,
    ).order_by("id")
