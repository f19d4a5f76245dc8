"""Ringing the doorbell: telling workers, after commit, that a row wants them.

Messages carry an id and nothing else. A lost one loses nothing: the sweeper finds the row.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from uuid import UUID

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

ERRAND_EXPIRES = 30
"""Seconds a sweeper's message waits for a worker before it lapses."""

QUIET_SECONDS = 10.0
"""How long nothing is sent after the broker did not answer."""

_quiet_until = 0.0  # on this process's own monotonic clock


def execution_of(request_id: UUID) -> None:
    """Have a worker carry out the approved request."""
    _ring("approvals.execute", request_id)


def intake_of(request_id: UUID) -> None:
    """Have a worker carry on an intake that waits for a slow target."""
    _ring("approvals.continue_intake", request_id)


def errand(task: str, request_id: UUID) -> None:
    """The sweeper's message. It is sent again while the row is due, so an old one may lapse."""
    _ring(task, request_id, expires=ERRAND_EXPIRES)


def notices() -> None:
    """Have a worker send the notices that wait."""
    _ring("approvals.send_notices")


def _ring(task: str, *ids: UUID, expires: int | None = None) -> None:
    # robust: with the broker down the send raises after our commit, and must not undo it
    send = partial(_send, task, [str(i) for i in ids], expires)
    transaction.on_commit(send, robust=True)


def _send(task: str, ids: list[str], expires: int | None) -> None:
    # A broker that hangs costs the person who just decided its whole timeout: once, not for
    # every message of every click. The sweeper is late by no more than it is anyway.
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return
    try:
        current_app.send_task(task, args=ids, retry=False, expires=expires)
    except (OperationalError, OSError):
        _quiet_until = time.monotonic() + QUIET_SECONDS
        logger.warning("broker unreachable, the sweeper will carry on", extra={"task": task})
