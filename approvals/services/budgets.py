"""Budgets: how much an agent may propose in 24 hours before people decide on all of it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from approvals.domain.budgets import spent
from approvals.exceptions import ApprovalError, FieldProblem, InvalidProposal
from approvals.models import Agent, AgentBudget
from approvals.services.agents import demand_other_admin, require_owner
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record
from policies import patterns

_MOST_MINOR = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most in 24 hours; None is no such limit. `minor` in the base currency."""

    count: int | None = None
    minor: int | None = None
    per_target: int | None = None

    @property
    def limits(self) -> tuple[int | None, int | None, int | None]:
        return (self.count, self.minor, self.per_target)


@transaction.atomic
def set_budget(agent_id: int, *, action_type: str, budget: Budget, actor: Actor) -> AgentBudget:
    """Set what the agent may propose of a kind in 24 hours; replaces its budget for that kind.

    Whoever keeps the agent makes it tighter; loosening any part takes an ops admin who does not own
    the agent. Raises
    NotAuthorised, and InvalidProposal naming bad fields.
    """
    agent = Agent.objects.select_for_update(no_key=True).get(pk=agent_id)
    require_owner(actor, agent.owner_id)
    _check(action_type, budget)
    before = AgentBudget.objects.filter(agent=agent, action_type=action_type, valid=True).first()
    if before is not None:
        if _loosens(before, budget):
            demand_other_admin(actor, "Only an ops admin loosens a budget.", agent.owner)
        before.valid = False
        before.save(update_fields=["valid"])
    at = db_clock.now()
    row = AgentBudget.objects.create(
        agent=agent,
        action_type=action_type,
        most_count=budget.count,
        most_minor=budget.minor,
        most_per_target=budget.per_target,
        created_at=at,
    )
    record(
        AuditCode.BUDGET_SET,
        actor=actor,
        subject=agent,
        data={
            "budget": row.pk,
            "action_type": action_type,
            "most_count": budget.count,
            "most_minor": budget.minor,
            "most_per_target": budget.per_target,
            "replaces": before.pk if before else None,
        },
        at=at,
    )
    return row


def spent_of(agent_id: int) -> list[tuple[AgentBudget, int, int]]:
    """The budgets in force, each with the requests and the minor units that 24 hours have used."""
    agent = Agent.objects.get(pk=agent_id)
    found = list(agent.budgets.filter(valid=True))
    used = spent(agent, found, at=db_clock.now())
    return [(row, *much) for row, much in zip(found, used, strict=True)]


@transaction.atomic
def remove_budget(budget_id: int, *, actor: Actor) -> AgentBudget:
    """Take a budget away; its row stays. Takes an ops admin who does not own the agent."""
    agent_id = AgentBudget.objects.values_list("agent", flat=True).get(pk=budget_id)
    agent = Agent.objects.select_for_update(no_key=True).get(pk=agent_id)
    row = AgentBudget.objects.select_for_update(of=("self",)).get(pk=budget_id)
    demand_other_admin(actor, "Only an ops admin removes a budget.", agent.owner)
    if not row.valid:
        raise ApprovalError("This budget is not in force any more.", code="already_removed")
    row.valid = False
    row.save(update_fields=["valid"])
    record(
        AuditCode.BUDGET_REMOVED,
        actor=actor,
        subject=agent,
        data={"budget": row.pk, "action_type": row.action_type},
    )
    return row


def _loosens(before: AgentBudget, after: Budget) -> bool:
    was = (before.most_count, before.most_minor, before.most_per_target)
    return any(
        old is not None and (new is None or new > old)
        for old, new in zip(was, after.limits, strict=True)
    )


def _check(action_type: str, budget: Budget) -> None:
    problems = []
    if not patterns.is_pattern(action_type):
        problems.append(
            FieldProblem("action_type", 'Name an action type, a family ("refund.*") or "*".')
        )
    given = [limit for limit in budget.limits if limit is not None]
    if not given:
        problems.append(FieldProblem("most_count", "A budget limits something: fill in one."))
    if any(limit < 0 or limit > _MOST_MINOR for limit in given):
        problems.append(FieldProblem("most_count", "A limit is zero or more, and not astronomic."))
    if any(n is not None and n > 2**31 - 1 for n in (budget.count, budget.per_target)):
        problems.append(FieldProblem("most_count", "That many is no limit."))
    if problems:
        raise InvalidProposal(problems)
