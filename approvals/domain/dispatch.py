"""Which worker's task carries on with what, told once the change is committed."""

from __future__ import annotations

from uuid import UUID

from audit.lib.outbox import enqueue_on_commit, enqueue_once_on_commit, enqueue_sweep_job


def execution_of(request_id: UUID) -> None:
    """Have a worker carry out the approved request."""
    enqueue_on_commit("approvals.execute", request_id)


def intake_of(request_id: UUID) -> None:
    """Have a worker carry on an intake that waits for a slow target."""
    enqueue_on_commit("approvals.continue_intake", request_id)


def announcement_of(request_id: UUID) -> None:
    """Have a worker find, suggest and tell the people a request waits for.

    One message stands for all that are routed until a worker takes it.
    """
    enqueue_once_on_commit("approvals.announce", request_id)


def plan_of(plan_id: UUID) -> None:
    """Have a worker see what comes next in a plan."""
    enqueue_on_commit("approvals.carry_on_plan", plan_id)


def job(task: str, row_id: UUID | int) -> None:
    """The sweeper's message: not again for a while, although the row is still due."""
    enqueue_sweep_job(task, row_id)


def notices() -> None:
    """Have a worker send the notices that wait: one message for all that are written meanwhile."""
    enqueue_once_on_commit("approvals.send_notices")


def another_sweep() -> None:
    """Have a worker make another pass: this one left something."""
    enqueue_on_commit("approvals.sweep_on")
