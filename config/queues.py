"""The two queues: what was approved is carried out ahead of everything else.

A worker that takes both looks into `executions` first each time; kombu would take turns. A worker
of its own for it (`celery -A config worker -Q executions`) is never busy with anything else.
"""

from __future__ import annotations

from collections.abc import Iterable

from kombu.entity import Queue
from kombu.utils.scheduling import priority_cycle

EXECUTIONS = "executions"
REST = "celery"
"""Celery's own name for its only queue: messages sent before there were two are still taken."""

QUEUES = [Queue(EXECUTIONS), Queue(REST)]  # type: ignore[no-untyped-call]  # the library is untyped
ROUTES = {
    name: {"queue": EXECUTIONS}
    for name in ("approvals.execute", "approvals.recover", "approvals.carry_on_plan")
}


def in_order(queues: Iterable[str]) -> list[str]:
    """Executions first."""
    return sorted(queues, key=lambda name: (name != EXECUTIONS, name))


class ExecutionsFirst(priority_cycle):
    """The order in which a worker asks Redis for messages (`queue_order_strategy`)."""

    def consume(self, n: int) -> list[str]:
        return in_order(self.items[:n])
