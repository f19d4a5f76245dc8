"""Is an agent's budget used up? Counted over 24 hours, exact while its counter is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, Sum

from approvals.domain.usage import DAY, since
from approvals.models import Agent, AgentBudget, CountedRequest
from approvals.selectors.prior_requests import first_id_at
from policies import patterns


def is_over_budget(
    agent: Agent,
    action_type: str,
    target: str,
    *,
    base_minor: int | None,
    at: datetime,
    but: UUID | None = None,
    before: int | None = None,
) -> bool:
    """Would one more be above a budget of the agent? Exact while its counter is held.

    Money without a rate (None) is above every sum. `but` is left out: itself; and
    with `before`, whatever was counted after that number.
    """
    budgets = [
        budget
        for budget in AgentBudget.objects.filter(agent=agent, valid=True)
        if patterns.applies(budget.action_type, action_type)
    ]
    if not budgets:
        return False
    done = _done(agent, target, at=at, but=but, before=before)
    return any(_is_over(budget, done, base_minor) for budget in budgets)


def spent(agent: Agent, budgets: Sequence[AgentBudget], *, at: datetime) -> list[tuple[int, int]]:
    """Of each budget what 24 hours have used: requests, and minor units of the base currency."""
    done = _done(agent, "", at=at, but=None, before=None) if budgets else []
    return [
        (sum(one.count for one in mine), sum(one.sum_base for one in mine))
        for budget in budgets
        for mine in [[o for o in done if patterns.applies(budget.action_type, o.action_type)]]
    ]


@dataclass(frozen=True, slots=True)
class _Done:
    """What the agent proposed of one kind in 24 hours."""

    action_type: str
    count: int
    on_target: int
    sum_base: int


def _done(
    agent: Agent, target: str, *, at: datetime, but: UUID | None, before: int | None
) -> list[_Done]:
    first = since(DAY, at)
    counted = CountedRequest.objects.filter(
        request__agent=agent,
        # intake may lag behind; two days back the index ends and the agent's past is not read
        request__id__gte=first_id_at(first - 2 * DAY),
        hour__gte=first,
        taken_out_at=None,
    )
    if before is not None:
        counted = counted.filter(Q(number=None) | Q(number__lt=before))
    rows = (
        (counted if but is None else counted.exclude(request=but))
        .order_by()
        .values_list("request__action_type")
        .annotate(
            count=Count("pk"),
            on_target=Count("pk", filter=Q(request__target=target)),
            sum_base=Sum("amount_base", default=0),
        )
    )
    return [_Done(*row) for row in rows]


def _is_over(budget: AgentBudget, done: list[_Done], base_minor: int | None) -> bool:
    mine = [one for one in done if patterns.applies(budget.action_type, one.action_type)]
    if budget.most_count is not None and sum(o.count for o in mine) + 1 > budget.most_count:
        return True
    per_target = budget.most_per_target
    if per_target is not None and sum(o.on_target for o in mine) + 1 > per_target:
        return True
    if budget.most_minor is None:
        return False
    return base_minor is None or sum(o.sum_base for o in mine) + base_minor > budget.most_minor
