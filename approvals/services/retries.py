"""When the same call may be made again: what its attempts prove, keys and their windows, pauses."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from approvals.choices import AttemptOutcome
from approvals.models import ActionRequest, Attempt, Execution
from approvals.selectors.pauses import stopped_since
from connectors.base import Connector
from connectors.registry import action_type, connector_for

_WITHOUT_EFFECT = (AttemptOutcome.RETRY, AttemptOutcome.UNASKED)

CALL_AGAIN_AFTER = (
    timedelta(seconds=5),
    timedelta(seconds=15),
    timedelta(seconds=45),
    timedelta(seconds=135),
)
"""Pauses before the first, second, ... repeat; the last one before every further repeat."""


ASK_AGAIN_AFTER = (
    timedelta(seconds=15),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
)
"""The same before a target that could not be asked is asked again: nothing has been sent yet."""


def pause_before_next(
    execution: Execution, *, after: AttemptOutcome = AttemptOutcome.UNKNOWN
) -> timedelta:
    """How long the target is left alone after the execution's newest attempt, which ended so."""
    pauses = ASK_AGAIN_AFTER if after == AttemptOutcome.UNASKED else CALL_AGAIN_AFTER
    return pauses[min(execution.fence, len(pauses)) - 1]


def looks_first(request: ActionRequest, at: datetime) -> bool:
    """Must the target be asked for the effect before even the first call?

    The key is the same whenever the same approved action is carried out, also by a database that
    was restored and knows nothing of it. A target that remembers the key answers for itself; one
    that keeps none, or may have forgotten one as old as the request, is asked.
    """
    connector = connector_for(action_type(request.action_type))
    if not connector.can_look_up:
        return False
    return not connector.idempotent or not key_still_known(connector, request.created_at, at)


def nothing_happened(execution_id: int, *, before: int | None = None) -> bool:
    """Did every attempt so far (every one with a fence below `before`) certainly do nothing?

    Only then is repeating safe for any length of time, and a refusal the whole truth.
    """
    attempts = Attempt.objects.filter(execution_id=execution_id)
    if before is not None:
        attempts = attempts.filter(fence__lt=before)
    return not attempts.exclude(outcome__in=_WITHOUT_EFFECT).exists()


def key_still_known(connector: Connector, first_used: datetime, at: datetime) -> bool:
    """Does the target still know a key used at `first_used`, until a call begun at `at` is over?"""
    window = connector.key_window_seconds
    until = at + settings.EXECUTION_LEASE
    return window == 0 or until - first_used < timedelta(seconds=window)


def may_repeat(request: ActionRequest, execution: Execution, at: datetime) -> bool:
    """May a call that nobody answered properly be made once more, with the same key?

    Only where a second one has no second effect; not for ever, and not after a pause.
    """
    connector = connector_for(action_type(request.action_type))
    return (
        connector.idempotent
        and execution.fence < settings.EXECUTION_MAX_ATTEMPTS
        and key_still_known(connector, execution.started_at, at + pause_before_next(execution))
        and stopped_since(request, execution.grant.created_at) is None
    )
