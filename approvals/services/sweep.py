"""One pass over everything time or a crash may have left lying: the net under the doorbells."""

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
from approvals.selectors import clock, due
from approvals.services import assign, break_glass, clocks, dispatch, notify, restores
from approvals.services.execute import execute
from approvals.services.intake import continue_intake
from approvals.services.recover import recover
from approvals.services.verify import read_back, reconcile
from policies.services import backtests, second_person, upgrades

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Errand:
    """One kind of thing that may be due, and the service that carries one of them on.

    `task` names the worker's task for errands that call outside systems or take long: each of
    those gets a message and a time limit of its own, so that a slow one holds up nobody else's.
    """

    name: str
    find: Callable[[datetime], Sequence[Any]]  # primary keys
    service: Callable[[Any], object]
    task: str = ""


ERRANDS = (
    Errand("expired", due.run_out, clocks.expire),
    Errand("clock steps", due.steps_due, clocks.step_on),
    Errand("handed on", due.left_by_absent, assign.hand_on),
    Errand(
        "looked up after a restore",
        due.unchecked_after_restore,
        restores.look_up,
        task="approvals.look_up_after_restore",
    ),
    Errand("intakes", due.interrupted_intakes, continue_intake, task="approvals.continue_intake"),
    Errand("leases", due.expired_leases, recover, task="approvals.recover"),
    Errand("executions", due.unclaimed_approvals, execute, task="approvals.execute"),
    Errand(
        "read-backs",
        partial(due.unverified, state=State.EXECUTED),
        read_back,
        task="approvals.verify",
    ),
    Errand(
        "reconciliations",
        partial(due.unverified, state=State.OUTCOME_UNKNOWN),
        reconcile,
        task="approvals.reconcile",
    ),
    Errand("glass reviews", due.unreviewed_glass, break_glass.note_overdue),
    Errand("changes of authority", second_person.find_overdue, second_person.lapse),
    Errand("policies in an older grammar", upgrades.find_older_grammar, upgrades.draft_successor),
    Errand("replays", backtests.find_waiting, backtests.run_backtest, task=backtests.TASK),
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
    at = clock.now()
    for errand in ERRANDS:
        for request_id in errand.find(at):
            counts[errand.name] = counts.get(errand.name, 0) + 1
            if through_broker and errand.task:
                dispatch.errand(errand.task, request_id)
            else:
                failed += not _survives(errand.service, request_id)
    counts["notices"] = notify.send_waiting()
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
