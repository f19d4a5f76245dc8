"""When things happen: ids in, one service call each, no decision here.

Early acknowledgement on purpose: a message lost with its worker is found again by the sweep,
because the row says what is due.
"""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from approvals.domain import sending
from approvals.services import execute as executing
from approvals.services import (
    intake,
    plan_progress,
    restores,
    watching,
    webhook_delivery,
)
from approvals.services import recover as recovering
from approvals.services import sweep as sweeping
from approvals.services import verify as verifying
from audit.lib import outbox


@shared_task(name="approvals.continue_intake")
def continue_intake(request_id: str) -> None:
    """Carry on an interrupted intake."""
    intake.continue_intake(UUID(request_id))


@shared_task(name="approvals.announce")
def announce(request_id: str) -> None:
    """Tell the people a request waits for, and what else was routed meanwhile."""
    outbox.begins("approvals.announce")
    sweeping.announce(UUID(request_id))


@shared_task(name="approvals.execute")
def execute(request_id: str) -> None:
    """Carry out an approved request."""
    executing.execute(UUID(request_id))


@shared_task(name="approvals.carry_on_plan")
def carry_on_plan(plan_id: str) -> None:
    """Do what comes next in a plan."""
    plan_progress.carry_on(UUID(plan_id))


@shared_task(name="approvals.recover")
def recover(request_id: str) -> None:
    """Carry on an execution whose lease has expired."""
    recovering.recover(UUID(request_id))


@shared_task(name="approvals.verify")
def verify(request_id: str) -> None:
    """Read an effect back."""
    verifying.read_back(UUID(request_id))


@shared_task(name="approvals.reconcile")
def reconcile(request_id: str) -> None:
    """Find out what became of a call nobody answered."""
    verifying.reconcile(UUID(request_id))


@shared_task(name="approvals.look_up_after_restore")
def look_up_after_restore(request_id: str) -> None:
    """Ask the target whether a request was carried out before the database was restored."""
    restores.look_up(UUID(request_id))


@shared_task(name="approvals.deliver_webhook")
def deliver_webhook(delivery_id: str) -> None:
    """Tell an agent of a change."""
    webhook_delivery.deliver(int(delivery_id))


@shared_task(name="approvals.send_notices")
def send_notices() -> None:
    """Send the notices that wait."""
    outbox.begins("approvals.send_notices")
    sending.send_waiting()


@shared_task(name="approvals.sweep")
def sweep() -> None:
    """What beat asks for: one pass of everything, what calls outside by messages of its own."""
    sweeping.sweep_for_beat()


@shared_task(name="approvals.sweep_on")
def sweep_on() -> None:
    """Another pass, after one that left something."""
    sweeping.sweep_on()


@shared_task(name="approvals.watch")
def watch() -> None:
    """Look after the installation itself."""
    watching.watch()
