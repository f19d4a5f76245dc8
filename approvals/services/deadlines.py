"""What time does: reminds, escalates, and ends things. Silence never approves.

Every step is once per version and round of the clock, and a record. All times are the
database's.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from approvals.choices import EscalationStep, State
from approvals.domain import compensation, notifications, reminders
from approvals.domain.grants import revoke_grant
from approvals.domain.new_version import route_to_people
from approvals.domain.routing import close_requirements
from approvals.domain.transitions import DEADLINES, move
from approvals.models import ActionRequest, Escalation, Requirement
from approvals.selectors.authority import progress_of
from approvals.selectors.requests import requirements_of
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record


@transaction.atomic
def expire(request_id: UUID) -> bool:
    """End the request if the clock it is on has run out. Says whether it did."""
    request = ActionRequest.objects.locked(request_id)
    at = db_clock.now()
    due, what = running_clock(request)
    if due is None or due > at:
        return False
    Escalation.objects.create(
        request=request,
        version=request.version,
        round=request.clock_round,
        step=EscalationStep.EXPIRY,
        reason=f"Nobody {what} in time.",
        due_at=due,
        created_at=at,
    )
    revoke_grant(request, actor=DEADLINES, reason="expired", at=at)
    close_requirements(request)
    move(request, request.expire, AuditCode.EXPIRED, actor=DEADLINES, data={"clock": what})
    compensation.end_undo(request)
    notifications.ended(request)
    return True


def running_clock(request: ActionRequest) -> tuple[datetime | None, str]:
    """When the clock it is on runs out, if it is on one, and what nobody has done by then."""
    match State(request.state):
        case State.PENDING_APPROVAL:
            return request.decide_by, "decided"
        case State.CHANGES_REQUESTED:
            return request.answer_by, "answered"
        case State.APPROVED:
            return request.execute_by, "carried it out"
        case _:
            return None, ""


@transaction.atomic
def step_on(request_id: UUID) -> int:
    """Take every step that is due on the deciding clock, announcing the request first of all.

    Returns how many reminders and escalations were taken.
    """
    request = ActionRequest.objects.locked(request_id)
    at = db_clock.now()
    if (
        request.state != State.PENDING_APPROVAL
        or request.decide_by is None
        or request.clock_started_at is None
        or request.decide_by <= at
    ):
        return 0
    if reminders.is_unannounced(request):
        route_to_people(request, requirements_of(request), at=at)
    reminders.schedule(request, after=at)
    reminders.save(request)
    # who has answered, or is not asked yet, is not pressed
    requirements = [
        requirement
        for requirement, state in zip(requirements_of(request), progress_of(request), strict=True)
        if state.open
    ]
    taken = 0
    for step, due in reminders.moments(request).items():
        if due > at:
            break
        for requirement in requirements:
            taken += _take(request, requirement, step, due, at)
    return taken


def _take(
    request: ActionRequest,
    requirement: Requirement,
    step: EscalationStep,
    due: datetime,
    at: datetime,
) -> int:
    once = {
        "request": request,
        "version": request.version,
        "round": request.clock_round,
        "step": step,
        "requirement": requirement,
    }
    if Escalation.objects.filter(**once).exists():
        return 0
    escalating = step == EscalationStep.OVERDUE
    upwards = requirement.escalated_to or requirement.escalates_to  # it may have climbed further
    Escalation.objects.create(
        **once,
        from_group=requirement.group,
        to_group=upwards if escalating else requirement.group,
        reason="Time to decide is running out.",
        due_at=due,
        created_at=at,
    )
    if escalating:
        requirement.escalated_to = upwards
        requirement.save(update_fields=["escalated_to"])
        record(
            AuditCode.ESCALATED,
            actor=DEADLINES,
            subject=request,
            data={
                "from": requirement.group,
                "to": upwards,
                "reason": "deadline",
            },
        )
        notifications.escalated(request, requirement)
    else:
        record(
            AuditCode.REMINDED,
            actor=DEADLINES,
            subject=request,
            data={"group": requirement.group, "step": step.value},
        )
        notifications.reminded(request, requirement)
    return 1
