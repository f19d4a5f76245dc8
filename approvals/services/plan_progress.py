"""What comes next in a plan: the next step, or undoing those that were done.

One worker at a time looks after a plan. It locks no step while it holds the plan, and everything
it does is a service call that looks again, so that a crash costs nothing but the time until the
sweep finds the plan due.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from approvals.choices import (
    CARRIED_OUT,
    ENDED,
    ENDED_WITHOUT_EFFECT,
    INTAKE,
    WITHDRAWABLE,
    PlanOutcome,
    State,
)
from approvals.domain import notifications
from approvals.exceptions import NotReversible, Paused
from approvals.models import ActionRequest, Compensation, Plan
from approvals.selectors.plans import breaks_plan, is_its_turn, steps_of
from approvals.services.agent_replies import take_back
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record

PLANS = Actor.system("plans")

LOOK_AGAIN = timedelta(seconds=30)
"""When a plan is looked at again whose next step could begin, or whose worker was lost."""


def carry_on(plan_id: UUID) -> None:
    """Do what comes next. Does nothing to a plan that is not due, or is over."""
    at = db_clock.now()
    until = at + LOOK_AGAIN
    due = Plan.objects.filter(pk=plan_id, closed_at=None, next_look_at__lte=at)
    if not due.update(next_look_at=until):
        return
    plan = Plan.objects.select_related("agent").get(pk=plan_id)
    steps = list(steps_of(plan))
    broken = next((step for step in steps if breaks_plan(step.state)), None)
    if plan.stopped_at is None and broken is not None:
        _stop(plan, broken, at=at)
    waits = _wind_up(plan, steps) if plan.stopped_at is not None else _go_on(plan, steps)
    if waits:  # until one of its steps moves
        Plan.objects.filter(pk=plan_id, next_look_at=until).update(next_look_at=None)


def _go_on(plan: Plan, steps: list[ActionRequest]) -> bool:
    """Have the next step carried out, where it is its turn. Whether there is nothing to do."""
    if all(step.state in CARRIED_OUT for step in steps):
        _close(plan, PlanOutcome.DONE)
        return True
    ready = next((s for s in steps if s.state == State.APPROVED and is_its_turn(s)), None)
    if ready is None:
        return True
    execute(ready.pk)  # what comes of it has the plan looked at again
    return False


@transaction.atomic
def _stop(plan: Plan, broken: ActionRequest, *, at: datetime) -> None:
    """From here no step begins."""
    locked = Plan.objects.select_for_update().get(pk=plan.pk)
    if locked.stopped_at is None:
        became = str(State(broken.state).label).lower()
        locked.stopped_at, locked.stop_reason = at, f"Step {broken.step} of the plan: {became}."
        locked.save(update_fields=["stopped_at", "stop_reason"])
        record(
            AuditCode.PLAN_STOPPED,
            actor=PLANS,
            subject=locked,
            data={"step": broken.step, "state": broken.state, "request": str(broken.pk)},
            at=at,
        )
    plan.stopped_at, plan.stop_reason = locked.stopped_at, locked.stop_reason


def _wind_up(plan: Plan, steps: list[ActionRequest]) -> bool:
    """Take back what has not begun, then undo what was done, newest first.

    Whether there is nothing to do now: a step is still under way, or people decide on an undo.
    """
    for step in steps:
        if step.state in WITHDRAWABLE | INTAKE:
            _take_back(step.pk, reason=plan.stop_reason)
    if any(step.state not in ENDED | CARRIED_OUT | WITHDRAWABLE | INTAKE for step in steps):
        return True  # executing, or an outcome people have to find out first
    done = [step for step in reversed(steps) if step.state in CARRIED_OUT]
    stay = 0
    for step in done:
        newest = Compensation.objects.filter(original=step).first()
        if newest is not None and newest.is_active:
            return True
        if newest is not None:  # people said no to it, or it failed: they know, and may try again
            stay += 1
            continue
        try:
            propose_undo(step.pk, reason=plan.stop_reason, for_plan=True)
        except NotReversible:
            stay += 1
            continue
        except Paused:
            return False
        return True
    _close(plan, _outcome(steps, stay))
    return True


def _outcome(steps: list[ActionRequest], stay: int) -> PlanOutcome:
    if all(step.state in ENDED_WITHOUT_EFFECT | WITHDRAWABLE | INTAKE for step in steps):
        return PlanOutcome.NOTHING
    # what people resolved by hand may have happened: nobody says here that it did not
    if stay or any(step.state == State.RESOLVED for step in steps):
        return PlanOutcome.LEFT
    return PlanOutcome.UNDONE


@transaction.atomic
def _take_back(request_id: UUID, *, reason: str) -> None:
    step = ActionRequest.objects.locked(request_id)
    if step.state in WITHDRAWABLE:
        take_back(step, actor=PLANS, reason=reason)


@transaction.atomic
def _close(plan: Plan, outcome: PlanOutcome) -> None:
    locked = Plan.objects.select_for_update().get(pk=plan.pk)
    if locked.closed_at is not None:
        return
    at = db_clock.now()
    locked.closed_at, locked.outcome, locked.next_look_at = at, outcome, None
    locked.save(update_fields=["closed_at", "outcome", "next_look_at"])
    data: JsonObject = {"ended": outcome.value}
    record(AuditCode.PLAN_CLOSED, actor=PLANS, subject=locked, data=data, at=at)
    if outcome == PlanOutcome.LEFT:
        notifications.plan_half_done(locked)
