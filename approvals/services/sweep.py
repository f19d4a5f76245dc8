"""One pass over everything time or a crash may have left lying, whatever messages were lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from approvals.choices import State
from approvals.domain import assignment, dispatch, notifications
from approvals.selectors import due
from approvals.services import break_glass, deadlines, restores
from approvals.services.execute import execute
from approvals.services.intake import continue_intake
from approvals.services.recover import recover
from approvals.services.verify import read_back, reconcile
from audit.lib import db_clock
from policies.services import backtests, dual_control, upgrades

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SweepJob:
    """One kind of thing that may be due, and the service that carries one of them on.

    `task` names the worker's task for jobs that call outside systems or take long: each of
    those gets a message and a time limit of its own, so that a slow one holds up nobody else's.
    """

    name: str
    find: Callable[[datetime], Sequence[Any]]  # primary keys
    service: Callable[[Any], object]
    task: str = ""


SWEEP_JOBS = (
    SweepJob("expired", due.run_out, deadlines.expire),
    SweepJob("clock steps", due.steps_due, deadlines.step_on),
    SweepJob("handed on", due.left_by_absent, assignment.reassign_from_absent),
    SweepJob(
        "looked up after a restore",
        due.unchecked_after_restore,
        restores.look_up,
        task="approvals.look_up_after_restore",
    ),
    SweepJob("intakes", due.interrupted_intakes, continue_intake, task="approvals.continue_intake"),
    SweepJob("leases", due.expired_leases, recover, task="approvals.recover"),
    SweepJob("executions", due.unclaimed_approvals, execute, task="approvals.execute"),
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
    SweepJob("glass reviews", due.overdue_break_glass, break_glass.note_overdue),
    SweepJob("changes of authority", dual_control.find_overdue, dual_control.lapse),
    SweepJob("policies in an older grammar", upgrades.find_older_grammar, upgrades.draft_successor),
    SweepJob("replays", backtests.find_waiting, backtests.run_backtest, task=backtests.TASK),
)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows of each kind one pass took on, and how many of them failed."""

    counts: dict[str, int]
    failed: int


def sweep(*, through_broker: bool = False) -> Swept:
    """Carry on whatever is due.

    Here and now, one row after the other; or, with `through_broker`, by a message to the workers
    for everything that calls outside. A row that fails is logged and left for the next pass; its
    neighbours are not affected. Several sweeps at once are harmless: every service locks its row
    and looks again.
    """
    restores.notice()
    counts: dict[str, int] = {}
    failed = 0
    at = db_clock.now()
    for job in SWEEP_JOBS:
        for request_id in job.find(at):
            counts[job.name] = counts.get(job.name, 0) + 1
            if through_broker and job.task:
                dispatch.job(job.task, request_id)
            else:
                failed += not _survives(job.service, request_id)
    counts["notices"] = notifications.send_waiting()
    return Swept(counts, failed)


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
