"""Which worker's task carries on what: doorbells by name, rung after commit."""

from __future__ import annotations

from uuid import UUID

from audit.doorbell import ring, ring_once


def execution_of(request_id: UUID) -> None:
    """Have a worker carry out the approved request."""
    ring("approvals.execute", request_id)


def intake_of(request_id: UUID) -> None:
    """Have a worker carry on an intake that waits for a slow target."""
    ring("approvals.continue_intake", request_id)


def errand(task: str, row_id: UUID | int) -> None:
    """The sweeper's message: not again for a while, although the row is still due."""
    ring_once(task, row_id)


def notices() -> None:
    """Have a worker send the notices that wait."""
    ring("approvals.send_notices")
