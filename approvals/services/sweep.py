"""One pass over everything time or a crash may have left lying: the net under the doorbells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from approvals.choices import State
from approvals.selectors import clock, due
from approvals.services import clocks, notify
from approvals.services.execute import execute
from approvals.services.intake import continue_intake
from approvals.services.recover import recover
from approvals.services.verify import read_back, reconcile

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows of each kind one pass took on, and how many of them failed."""

    counts: dict[str, int]
    failed: int


def sweep() -> Swept:
    """Carry on whatever is due, here and now, one row at a time.

    A row that fails is logged and left for the next pass; its neighbours are not affected.
    Several sweeps at once are harmless: every service locks its row and looks again.
    """
    at = clock.now()
    work: tuple[tuple[str, Iterable[UUID], Callable[[UUID], object]], ...] = (
        ("expired", due.run_out(at), clocks.expire),
        ("clock steps", due.steps_due(at), clocks.step_on),
        ("intakes", due.interrupted_intakes(at), continue_intake),
        ("leases", due.expired_leases(at), recover),
        ("executions", due.unclaimed_approvals(at), execute),
        ("read-backs", due.unverified(at, State.EXECUTED), read_back),
        ("reconciliations", due.unverified(at, State.OUTCOME_UNKNOWN), reconcile),
    )
    counts: dict[str, int] = {}
    failed = 0
    for name, ids, service in work:
        for request_id in ids:
            counts[name] = counts.get(name, 0) + 1
            failed += not _survives(service, request_id)
    counts["notices"] = notify.send_waiting()
    return Swept(counts, failed)


def _survives(service: Callable[[UUID], object], request_id: UUID) -> bool:
    try:
        service(request_id)
    except Exception:
        # the last line of defence for the neighbours: logged with its stack, tried again later
        logger.exception("sweep failed", extra={"action_id": str(request_id)})
        if transaction.get_connection().in_atomic_block:
            raise
        return False
    return True
