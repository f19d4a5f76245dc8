"""One pass over everything time or a crash may have left lying, whatever messages were lost."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from approvals.choices import State
from approvals.domain import assignment, dispatch, sending
from approvals.models import Heartbeat
from approvals.selectors import due
from approvals.selectors.webhooks import due as due_webhooks
from approvals.services import (
    break_glass,
    deadlines,
    deadlines_together,
    message_signatures,
    plan_progress,
    restores,
    triggers,
    watching,
    webhook_delivery,
)
from approvals.services.execute import execute
from approvals.services.intake import continue_intake
from approvals.services.recover import recover
from approvals.services.verify import read_back, reconcile
from audit.lib import db_clock
from policies.services import backtests, dual_control, upgrades

logger = logging.getLogger(__name__)

AT_ONCE = 100
"""How many rows of one kind a worker's pass does one by one: the next pass does the others."""
FEW = 10
"""Of so many rows, one of which fails, each is done by itself."""


@dataclass(frozen=True, slots=True)
class SweepJob:
    """One kind of thing that may be due, and the service that carries one of them on.

    `task` names the worker's task for jobs that call outside systems or take long: each of
    those gets a message and a time limit of its own, so that a slow one holds up nobody else's.
    `together` does the same as `service` for many rows in few statements, and returns those that
    have to be done one by one.
    """

    name: str
    find: Callable[[datetime], Sequence[Any]]  # primary keys
    service: Callable[[Any], object]
    task: str = ""
    together: Callable[[Sequence[Any]], list[Any]] | None = None


SWEEP_JOBS = (
    SweepJob("expired", due.run_out, deadlines.expire, together=deadlines_together.expire_all),
    SweepJob("announcements", due.unannounced, deadlines.step_on),
    SweepJob(
        "clock steps", due.steps_due, deadlines.step_on, together=deadlines_together.step_on_all
    ),
    SweepJob("handed on", due.left_by_absent, assignment.reassign_from_absent),
    SweepJob(
        "looked up after a restore",
        due.unchecked_after_restore,
        restores.look_up,
        task="approvals.look_up_after_restore",
    ),
    SweepJob("intakes", due.interrupted_intakes, continue_intake, task="approvals.continue_intake"),
    SweepJob("leases", due.expired_leases, recover, task="approvals.recover"),
    # before anything else of what it is about is carried out
    SweepJob("triggers", triggers.find_due, triggers.fire),
    SweepJob("executions", due.unclaimed_approvals, execute, task="approvals.execute"),
    SweepJob("plans", due.plans_due, plan_progress.carry_on, task="approvals.carry_on_plan"),
    SweepJob(
        "read-backs",
        partial(due.unverified, state=State.EXECUTED),
        read_back,
        task="approvals.verify",
    ),
    SweepJob(
        "reconciliations",
        partial(due.unverified, state=State.OUTCOME_UNKNOWN),
        reconcile,
        task="approvals.reconcile",
    ),
    SweepJob(
        "webhooks",
        due_webhooks,
        webhook_delivery.deliver,
        task="approvals.deliver_webhook",
    ),
    SweepJob("glass reviews", due.overdue_break_glass, break_glass.note_overdue),
    SweepJob("changes of authority", dual_control.find_overdue, dual_control.lapse),
    SweepJob(
        "nonces",
        message_signatures.forgettable,
        message_signatures.forget,
        together=message_signatures.forget_all,
    ),
    SweepJob("policies in an older grammar", upgrades.find_older_grammar, upgrades.draft_successor),
    SweepJob("replays", backtests.find_waiting, backtests.run_backtest, task=backtests.TASK),
)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows of each kind one pass took on, and how many of them failed.

    `more`: something is left that another pass, at once, would take on.
    """

    counts: dict[str, int]
    failed: int
    more: bool = False


def sweep_for_beat() -> None:
    """One pass, unless one has just begun: messages pile up while nobody takes them.

    They do not expire in the broker, because that would be by the workers' clocks.
    """
    half = timedelta(seconds=settings.SWEEP_SECONDS / 2)
    if watching.begin(Heartbeat.SWEEP, unless_within=half):
        _sweep_and_go_on()


def sweep_on() -> None:
    """Another pass at once, after one that left something."""
    watching.beat(Heartbeat.SWEEP)  # beat's own passes are not needed meanwhile
    _sweep_and_go_on()


def _sweep_and_go_on() -> None:
    if sweep(through_broker=True).more:
        dispatch.another_sweep()


def announce(request_id: UUID) -> None:
    """Announce a request, and what else was routed meanwhile: one message stands for them all."""
    others = [pk for pk in due.unannounced(db_clock.now()) if pk != request_id]
    for pk in [request_id, *others[:AT_ONCE]]:
        _survives(deadlines.step_on, pk)
    if len(others) > AT_ONCE:
        dispatch.announcement_of(others[AT_ONCE])


def sweep(*, through_broker: bool = False) -> Swept:
    """Carry on whatever is due.

    Here and now, one row after the other; or, with `through_broker`, by a message to the workers
    for everything that calls outside, and of the rest no more than a worker does in a moment. A row
    that fails is logged and left for the next pass; its neighbours are not affected. Several
    sweeps at once are harmless: every service locks its row and looks again.
    """
    restores.notice()
    counts: dict[str, int] = {}
    failed = 0
    more = False
    at = db_clock.now()
    for job in SWEEP_JOBS:
        found = job.find(at)
        if not found:
            continue
        counts[job.name] = len(found)
        if through_broker and job.task:
            for row in found:
                dispatch.job(job.task, row)
            continue
        most = AT_ONCE if through_broker else due.BATCH
        failed += _carry_on(job, found, most=most)
        if len(found) > most:
            # what nobody can do anything about stays due, and nobody is sent after it again
            more |= set(job.find(at)) not in (set(found), set())
    counts["notices"] = _notices(through_broker)
    return Swept(counts, failed, more)


def _carry_on(job: SweepJob, found: Sequence[Any], *, most: int) -> int:
    """Do for many together what can be, and as much of the rest as `most`. How many failed."""
    rows = list(found) if job.together is None else _together(job.together, found)
    if len(rows) > most:
        rows = random.sample(
            rows, most
        )  # or the same ones that stay due would be in front for ever
    return sum(not _survives(job.service, row) for row in rows)


def _together(service: Callable[[Sequence[Any]], list[Any]], rows: Sequence[Any]) -> list[Any]:
    """What has to be done one by one. Where one fails them all, its neighbours are done apart."""
    try:
        return service(rows)
    except Exception:
        if transaction.get_connection().in_atomic_block:
            raise
        logger.warning("not done together", extra={"rows": len(rows)}, exc_info=True)
    if len(rows) <= FEW:
        return list(rows)
    middle = len(rows) // 2
    return [*_together(service, rows[:middle]), *_together(service, rows[middle:])]


def _notices(through_broker: bool) -> int:
    if not through_broker:
        return sending.send_waiting()
    if sending.is_anything_waiting():
        dispatch.notices()
    return 0


def _survives(service: Callable[[Any], object], request_id: UUID | int) -> bool:
    try:
        service(request_id)
    except Exception:
        # the last line of defence for the neighbours: logged with its stack, tried again later
        logger.exception("sweep failed", extra={"action_id": str(request_id)})
        if transaction.get_connection().in_atomic_block:
            raise
        return False
    return True
