"""The outbox: telling workers, once a change is committed, which row wants them.

Messages carry ids and nothing else. A lost one loses nothing: the sweeper finds the row.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from uuid import UUID

from celery import current_app
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

SWEEP_JOB_AGAIN_AFTER = 30
"""Seconds before the sweeper sends a worker after the same row again."""

ONCE_IN = 2
"""Seconds for which one message stands for all of its kind, should nobody take it."""

QUIET_SECONDS = 10.0
"""How long nothing is sent after the broker did not answer."""

_quiet_until = 0.0  # on this process's own monotonic clock


def enqueue_on_commit(task: str, *ids: UUID | int) -> None:
    """Have a worker do this task, once the transaction in hand is committed."""
    # robust: with the broker down the send raises after our commit, and must not undo it
    transaction.on_commit(partial(_send, task, [str(i) for i in ids]), robust=True)


def enqueue_once_on_commit(task: str, *ids: UUID | int) -> None:
    """Have a worker do this task, which takes everything that waits, unless one is told already.

    It begins with the row of these ids. The worker says `begins` before it looks: what is committed
    later sends a message again. Where processes share no cache, a second one within `ONCE_IN`
    waits for the sweep.
    """
    transaction.on_commit(partial(_send_once, task, [str(i) for i in ids]), robust=True)


def begins(task: str) -> None:
    """From here on, whoever has something for this task sends a message again."""
    cache.delete(_told(task))


def _send_once(task: str, ids: list[str]) -> None:
    if cache.add(_told(task), True, timeout=ONCE_IN) and not _send(task, ids):
        begins(task)


def _told(task: str) -> str:
    return f"told:{task}"


def enqueue_sweep_job(task: str, row_id: UUID | int) -> None:
    """The sweeper's message: not again for a while, although the row is still due.

    Messages do not expire by themselves: that would be by the workers' clocks.
    """
    if cache.add(_sent(task, row_id), True, timeout=SWEEP_JOB_AGAIN_AFTER):
        transaction.on_commit(partial(_send_or_allow_again, task, row_id), robust=True)


def allow_again(task: str, row_id: UUID | int | str) -> None:
    """Let the next sweep send the message again at once: the last one has done nothing."""
    cache.delete(_sent(task, row_id))


def _sent(task: str, row_id: UUID | int | str) -> str:
    return f"sweep-job:{task}:{row_id}"


def _send_or_allow_again(task: str, row_id: UUID | int) -> None:
    if not _send(task, [str(row_id)]):
        allow_again(task, row_id)


def _send(task: str, ids: list[str]) -> bool:
    """Whether the broker took the message."""
    # A broker that hangs costs the person who just decided its whole timeout: once, not for
    # every message of every click. The sweeper is late by no more than it is anyway.
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return False
    try:
        current_app.send_task(task, args=ids, retry=False)
    except (OperationalError, OSError):
        _quiet_until = time.monotonic() + QUIET_SECONDS
        logger.warning("broker unreachable, the sweeper will carry on", extra={"task": task})
        return False
    return True
