"""What time does to many requests at once: `deadlines`, in statements for a thousand rows.

Each request gets the very rows that `deadlines.expire` and `deadlines.step_on` write, and a test
compares them. What needs more than its own rows is left to those two: undos, whose end concerns
another request; requests nobody has been told of; requests somebody has approved already.

Nobody is waited for. A row that is locked is somebody's decision or execution being recorded: it
wins, and the next pass sees what became of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from approvals.choices import EscalationStep, State
from approvals.domain import notifications, reminders
from approvals.domain.transitions import DEADLINES, PlannedMove, move_together
from approvals.models import ActionRequest, Decision, Escalation, Grant, Requirement
from approvals.services.deadlines import running_clock
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.db import insert_all
from audit.services import Entry, record_for_many
from policies.quorum import progress
from policies.verdicts import RequirementSpec


@transaction.atomic
def expire_all(request_ids: Sequence[UUID]) -> list[UUID]:
    """End those whose clock has run out. Returns those that have to be ended one by one."""
    locked = ActionRequest.objects.locked_together(request_ids)
    at = db_clock.now()
    requests, clocks, alone = [], [], []
    for request in locked:
        due, what = running_clock(request)
        if due is None or due > at:
            continue
        if request.compensates_id is not None:
            alone.append(request.pk)
            continue
        requests.append(request)
        clocks.append((due, what))
    if not requests:
        return alone
    insert_all(
        [
            _step(request, EscalationStep.EXPIRY, f"Nobody {what} in time.", due=due, at=at)
            for request, (due, what) in zip(requests, clocks, strict=True)
        ]
    )
    revoked = _revoke_grants(requests, at=at)
    Requirement.objects.filter(request__in=requests, is_open=True).update(is_open=False)
    moves = [
        PlannedMove(request, request.expire, {"clock": what}, before=revoked[request.pk])
        for request, (_, what) in zip(requests, clocks, strict=True)
    ]
    move_together(moves, AuditCode.EXPIRED, actor=DEADLINES, at=at)
    notifications.ended_all(requests, at=at)
    return alone


def _revoke_grants(requests: Sequence[ActionRequest], *, at: datetime) -> dict[UUID, list[Entry]]:
    """Make their usable grants unusable for good; what is to be recorded of each."""
    entries: dict[UUID, list[Entry]] = defaultdict(list)
    states = {request.pk: request.state for request in requests}
    usable = Grant.objects.filter(request__in=requests, consumed_at=None, revoked_at=None)
    for pk, request_id in usable.values_list("pk", "request_id"):
        revoked = Entry(
            AuditCode.GRANT_REVOKED,
            DEADLINES,
            states[request_id],
            {"grant": pk, "reason": "expired"},
        )
        entries[request_id].append(revoked)
    usable.update(revoked_at=at)
    return entries


@transaction.atomic
def step_on_all(request_ids: Sequence[UUID]) -> list[UUID]:
    """Take the reminders and escalations that are due. Returns what is to be done one by one."""
    locked = ActionRequest.objects.locked_together(request_ids)
    at = db_clock.now()
    waiting = [
        request
        for request in locked
        if request.state == State.PENDING_APPROVAL
        and request.decide_by is not None
        and request.clock_started_at is not None
        and request.decide_by > at
    ]
    answered = _answered(waiting)
    alone = {r.pk for r in waiting if r.pk in answered or reminders.is_unannounced(r)}
    requests = [request for request in waiting if request.pk not in alone]
    if not requests:
        return sorted(alone)
    asked, taken = _open_requirements(requests), _taken(requests)
    steps: list[Escalation] = []
    recorded = []
    for request in requests:
        reminders.schedule(request, after=at)
        own = [
            _press(request, requirement, step, due=due, at=at)
            for step, due in reminders.moments(request).items()
            if due <= at
            for requirement in asked[request.pk]
            if (request.pk, request.version, request.clock_round, step, requirement.pk) not in taken
        ]
        steps += own
        recorded.append((request, [_entry(step) for step in own]))
    insert_all(steps)
    reminded = [step for step in steps if step.step != EscalationStep.OVERDUE]
    escalated = [step for step in steps if step.step == EscalationStep.OVERDUE]
    _send_up(escalated)
    record_for_many(recorded, at=at, saving=("next_step_at",))
    notifications.reminded_all(_asked(reminded), at=at)
    notifications.escalated_all(_asked(escalated), at=at)
    return sorted(alone)


def _answered(requests: Sequence[ActionRequest]) -> set[UUID]:
    """Those about which somebody has said something: who is still asked has to be worked out."""
    given = Decision.objects.filter(request__in=requests)
    return set(given.values_list("request_id", flat=True))


def _open_requirements(requests: Sequence[ActionRequest]) -> dict[UUID, list[Requirement]]:
    """Who is asked now, of requests nobody has answered: later stages are not asked yet."""
    versions = {request.pk: request.version for request in requests}
    found: dict[UUID, list[Requirement]] = defaultdict(list)
    rows = Requirement.objects.filter(request__in=requests).order_by("request_id", "stage", "id")
    for requirement in rows:
        if requirement.version == versions[requirement.request_id]:
            found[requirement.request_id].append(requirement)
    known: dict[tuple[RequirementSpec, ...], list[bool]] = {}
    for pk, requirements in found.items():
        specs = tuple(requirement.spec for requirement in requirements)
        if specs not in known:
            known[specs] = [state.open for state in progress(specs, ())]
        found[pk] = [
            one for one, is_open in zip(requirements, known[specs], strict=True) if is_open
        ]
    return found


def _taken(requests: Sequence[ActionRequest]) -> set[tuple[UUID, int, int, str, int | None]]:
    """The steps that were taken before."""
    rows = Escalation.objects.filter(request__in=requests)
    names = ("request_id", "version", "round", "step", "requirement_id")
    return set(rows.values_list(*names))


def _press(
    request: ActionRequest,
    requirement: Requirement,
    step: EscalationStep,
    *,
    due: datetime,
    at: datetime,
) -> Escalation:
    upwards = requirement.escalated_to or requirement.escalates_to  # it may have climbed further
    taken = _step(request, step, "Time to decide is running out.", due=due, at=at)
    taken.requirement = requirement
    taken.from_group = requirement.group
    taken.to_group = upwards if step == EscalationStep.OVERDUE else requirement.group
    return taken


def _step(
    request: ActionRequest, step: EscalationStep, reason: str, *, due: datetime, at: datetime
) -> Escalation:
    return Escalation(
        request=request,
        version=request.version,
        round=request.clock_round,
        step=step,
        reason=reason,
        due_at=due,
        created_at=at,
    )


def _entry(taken: Escalation) -> Entry:
    if taken.step == EscalationStep.OVERDUE:
        data = {"from": taken.from_group, "to": taken.to_group, "reason": "deadline"}
        return Entry(AuditCode.ESCALATED, DEADLINES, data=data)
    data = {"group": taken.from_group, "step": str(taken.step)}
    return Entry(AuditCode.REMINDED, DEADLINES, data=data)


def _send_up(escalated: Sequence[Escalation]) -> None:
    """The next level has them, too; the database demands the event that follows."""
    upwards: dict[str, list[int]] = defaultdict(list)
    for step, (_, requirement) in zip(escalated, _asked(escalated), strict=True):
        requirement.escalated_to = step.to_group
        upwards[step.to_group].append(requirement.pk)
    for group, ids in upwards.items():
        Requirement.objects.filter(pk__in=ids).update(escalated_to=group)


def _asked(steps: Sequence[Escalation]) -> list[tuple[ActionRequest, Requirement]]:
    return [(step.request, step.requirement) for step in steps if step.requirement is not None]
