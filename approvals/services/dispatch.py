"""Ringing the doorbell: telling workers, after commit, that a row wants them.

Messages carry an id and nothing else. A lost one loses nothing: the sweeper finds the row.
"""

from __future__ import annotations

import logging
from functools import partial
from uuid import UUID

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def execution_of(request_id: UUID) -> None:
    """Have a worker carry out the approved request."""
    _ring("approvals.execute", request_id)


def intake_of(request_id: UUID) -> None:
    """Have a worker carry on an interrupted intake."""
    _ring("approvals.continue_intake", request_id)


def verification_of(request_id: UUID) -> None:
    """Have a worker read the effect back."""
    _ring("approvals.verify", request_id)


def notices() -> None:
    """Have a worker send the notices that wait."""
    _ring("approvals.send_notices")


def _ring(task: str, *ids: UUID) -> None:
    # robust: with the broker down the send raises after our commit, and must not undo it
    transaction.on_commit(partial(_send, task, [str(i) for i in ids]), robust=True)


def _send(task: str, ids: list[str]) -> None:
    try:
        current_app.send_task(task, args=ids, retry=False)
    except (OperationalError, OSError):
        logger.warning("broker unreachable, the sweeper will carry on", extra={"task": task})
