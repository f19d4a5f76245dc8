"""What the sweeper has to carry on: found by index, oldest first, never the whole table."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from uuid import UUID

from django.db.models import F, Q, QuerySet

from approvals.choices import ExecutionState, State
from approvals.models import ActionRequest, BreakGlass, Execution, Plan, Requirement
from approvals.selectors.restores import due_for_look_up, freeze_in_force
from connectors.registry import action_types
from policies.models import User
from policies.services.absences import absent_persons

BATCH = 1000
"""How many rows of one kind a single sweep takes on."""


def overdue_break_glass(at: datetime) -> list[int]:
    """Break-glass approvals whose review is overdue and has not been noted as such."""
    return list(
        BreakGlass.objects.filter(reviewed_at=None, overdue_noted_at=None, review_due_at__lte=at)
        .order_by("review_due_at")
        .values_list("pk", flat=True)[:BATCH]
    )


def interrupted_intakes(at: datetime) -> list[UUID]:
    """Stored, not carried on, and nobody at it."""
    return list(
        ActionRequest.objects.filter(state=State.REQUESTED)
        .filter(Q(intake_claimed_until=None) | Q(intake_claimed_until__lte=at))
        .order_by("id")
        .values_list("pk", flat=True)[:BATCH]
    )


def plans_due(at: datetime) -> list[UUID]:
    """Plans in which something has moved or may begin; none while everything is frozen."""
    if freeze_in_force():
        return []
    due = Plan.objects.filter(next_look_at__lte=at).order_by("next_look_at")
    return list(due.values_list("pk", flat=True)[:BATCH])


def unclaimed_approvals(at: datetime) -> list[UUID]:
    """Approved, inside its time, and started where a person has to start it.

    Not what agents carry out themselves. The steps of plans are not among these: their plan says
    when it is their turn.
    """
    if freeze_in_force():
        return []
    return list(
        ActionRequest.objects.filter(
            state=State.APPROVED,
            plan=None,
            execute_by__gt=at,
            grants__consumed_at=None,
            grants__revoked_at=None,
        )
        .exclude(action_type__in=[kind.key for kind in action_types() if kind.by_agent])
        .filter(Q(grants__usable_from=None) | Q(grants__usable_from__lte=at))
        .filter(Q(grants__needs_start=False) | Q(grants__started_by__isnull=False))
        .order_by("execute_by", "id")
        .values_list("pk", flat=True)[:BATCH]
    )


def expired_leases(at: datetime) -> list[UUID]:
    """Executions whose worker has not reported in time."""
    return list(
        Execution.objects.filter(state=ExecutionState.RUNNING, lease_until__lte=at)
        .order_by("lease_until")
        .values_list("request_id", flat=True)[:BATCH]
    )


def unverified(at: datetime, *, state: State) -> list[UUID]:
    """Executed or unknown, and due for a read; not what is done by somebody's word alone."""
    word = [kind.key for kind in action_types() if not kind.is_read_back]
    rows = Execution.objects.filter(request__state=state, redeemer="")
    if state == State.EXECUTED and word:
        rows = rows.exclude(request__action_type__in=word)
    return list(
        rows.filter(Q(read_back_at=None) | Q(read_back_at__lte=at))
        .order_by("id")
        .values_list("request_id", flat=True)[:BATCH]
    )


def run_out(at: datetime) -> list[UUID]:
    """Open requests whose running clock is past its end.

    None while everything is frozen after a restore: what was done already is no such thing.
    """
    if freeze_in_force():
        return []
    clocks = {
        State.PENDING_APPROVAL: "decide_by",
        State.CHANGES_REQUESTED: "answer_by",
        State.APPROVED: "execute_by",
    }
    # one question for each clock: each has its own index, and finding none reads no row
    return _first(
        ActionRequest.objects.filter(state=state, **{f"{by}__lte": at}).order_by(by, "id")
        for state, by in clocks.items()
    )


def unchecked_after_restore(at: datetime) -> list[UUID]:
    """What the targets still have to be asked about before a freeze can end."""
    return due_for_look_up(at, BATCH)


def left_by_absent(at: datetime) -> list[UUID]:
    """Open requests that are suggested to, or claimed by, somebody who is away."""
    away = User.objects.filter(person__in=absent_persons(at)).values_list("pk", flat=True)
    left = Requirement.objects.filter(is_open=True, assignee__in=list(away))
    found = left.order_by("request_id").values_list("request_id", flat=True)[:BATCH]
    return list(dict.fromkeys(found))


def unannounced(at: datetime) -> list[UUID]:
    """Pending requests that nobody has been told of.

    With those of which nobody has said when: an older release routed them.
    """
    pending = _pending(at)
    new = pending.filter(next_step_at__lte=at, next_step_at=F("clock_started_at"))
    unknown = pending.filter(next_step_at=None, clock_started_at__isnull=False)
    # by the index of next steps: in order of their ids alone all that waits would be read
    return _first(rows.order_by("next_step_at", "id") for rows in (new, unknown))


def steps_due(at: datetime) -> list[UUID]:
    """Pending requests with something to remind of or to escalate."""
    started = _pending(at).filter(next_step_at__lte=at, clock_started_at__isnull=False)
    announced = started.exclude(next_step_at=F("clock_started_at"))
    return _first([announced.order_by("next_step_at", "id")])


def _pending(at: datetime) -> QuerySet[ActionRequest]:
    return ActionRequest.objects.filter(state=State.PENDING_APPROVAL, decide_by__gt=at)


def _first(found: Iterable[QuerySet[ActionRequest]]) -> list[UUID]:
    """The first `BATCH` of all of these together."""
    ids = (pk for rows in found for pk in rows.values_list("pk", flat=True)[:BATCH])
    return list(islice(ids, BATCH))
