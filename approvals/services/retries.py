"""When the same call may be made again: what its attempts prove, keys and their windows, pauses."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from approvals.choices import AttemptOutcome
from approvals.models import ActionRequest, Attempt, Execution
from approvals.selectors.pauses import stopped_since
from connectors.base import Connector
from connectors.registry import action_type, connector_for

CALL_AGAIN_AFTER = (
    timedelta(seconds=5),
    timedelta(seconds=15),
    timedelta(seconds=45),
    timedelta(seconds=135),
)
"""Pauses before the first, second, ... repeat; the last one before every further repeat."""


def pause_before_next(execution: Execution) -> timedelta:
    """How long the target is left alone after the execution's newest attempt."""
    return CALL_AGAIN_AFTER[min(execution.fence, len(CALL_AGAIN_AFTER)) - 1]


def nothing_happened(execution_id: int, *, before: int | None = None) -> bool:
    """Did every attempt so far (every one with a fence below `before`) certainly do nothing?

    Only then is repeating safe for any length of time, and a refusal the whole truth.
    """
    attempts = Attempt.objects.filter(execution_id=execution_id)
    if before is not None:
        attempts = attempts.filter(fence__lt=before)
    return not attempts.exclude(outcome=AttemptOutcome.RETRY).exists()


def key_still_known(connector: Connector, execution: Execution, at: datetime) -> bool:
    """Would the target know the key of a call begun at `at` for as long as that may take?"""
    window = connector.key_window_seconds
    latest = at + settings.EXECUTION_LEASE - execution.started_at
    return window == 0 or latest < timedelta(seconds=window)


def may_repeat(request: ActionRequest, execution: Execution, at: datetime) -> bool:
    """May a call that nobody answered properly be made once more, with the same key?

    Only where a second one has no second effect; not for ever, and not after a pause.
    """
    connector = connector_for(action_type(request.action_type))
    return (
        connector.idempotent
        and execution.fence < settings.EXECUTION_MAX_ATTEMPTS
        and key_still_known(connector, execution, at + pause_before_next(execution))
        and stopped_since(request, execution.grant.created_at) is None
    )
