"""Where a plan stands, by its steps, and whose turn it is."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from django.db.models import QuerySet

from approvals.choices import CARRIED_OUT, ENDED, WITHDRAWABLE, State
from approvals.exceptions import NotFound
from approvals.models import ActionRequest, Agent, Plan


class Standing(StrEnum):
    """Where a plan stands. What became of one that is over, its outcome says."""

    OPEN = "open"  # people decide
    RUNNING = "running"
    STOPPED = "stopped"  # nothing more is done, what was done is being undone
    OVER = "over"


def plan_of_agent(plan_id: UUID, agent: Agent) -> Plan:
    """The agent's own plan. Raises NotFound."""
    found = Plan.objects.filter(pk=plan_id, agent=agent).first()
    if found is None:
        raise NotFound("There is no such plan of yours.")
    return found


def steps_of(plan: Plan) -> QuerySet[ActionRequest]:
    """Its steps, in their order."""
    return ActionRequest.objects.filter(plan=plan).order_by("step")


def standing_of(plan: Plan, states: list[str]) -> Standing:
    """By what is on record, and the `states` of its steps."""
    if plan.closed_at is not None:
        return Standing.OVER
    if plan.stopped_at is not None:
        return Standing.STOPPED
    has_begun = any(state not in WITHDRAWABLE for state in states)
    is_agreed = all(state not in WITHDRAWABLE - {State.APPROVED} for state in states)
    return Standing.RUNNING if has_begun or is_agreed else Standing.OPEN


def breaks_plan(state: str) -> bool:
    """Whether a step in that state keeps the others from being done."""
    return state in ENDED and state not in CARRIED_OUT


def is_its_turn(request: ActionRequest) -> bool:
    """Whether a request may be carried out, as far as a plan of its own says.

    Nothing of a plan begins before every step is approved, and no step before the one ahead of it
    has been done and read back.
    """
    if request.plan_id is None:
        return True
    plan, own = request.plan, request.step
    assert plan is not None  # noqa: S101 - narrows for the type checker
    assert own is not None  # noqa: S101 - the same
    if plan.stopped_at is not None:
        return False
    others = steps_of(plan).exclude(pk=request.pk).values_list("step", "state")
    return all(
        state in CARRIED_OUT if step is not None and step < own else state == State.APPROVED
        for step, state in others
    )
