"""Reading the effect back, independently of what the write answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from approvals.choices import State
from approvals.domain import compensation, notifications
from approvals.domain.transitions import VERIFIER, Moves, move
from approvals.models import ActionRequest, Execution, Verification
from approvals.selectors.requests import (
    action_of,
    is_asked,
    latest_execution_of,
    read_at_once,
    rows_of,
)
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject, canonical
from audit.lib.prepared import Given, NextKeys, Prepared, asked_together
from audit.selectors import events_of
from connectors.base import Action, ConnectorError, OutcomeUnknown, ReadBack, Receipt
from connectors.registry import action_type, connector_for, is_read_back

READ_AGAIN_AFTER = (
    timedelta(seconds=5),
    timedelta(seconds=15),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
)
"""Pauses between reads that gave no answer; after the last one a person takes over."""

ASK_AGAIN_AFTER = timedelta(minutes=15)
"""Pause before a target that cannot look anything up is thought of again: people resolve those."""


def read_back(request_id: UUID) -> None:
    """Read the effect of an executed request and compare it with what was approved.

    Does nothing unless the request is executed. A target that cannot be read is tried again
    later; after the last try the effect counts as not shown, and people look.
    """
    request = ActionRequest.objects.filter(pk=request_id, state=State.EXECUTED).first()
    execution = latest_execution_of(request) if request is not None else None
    if request is None or execution is None or _is_settling(execution):
        return
    if execution.redeemer or not is_read_back(request.action_type):
        return  # somebody's word: nothing here can read it back
    with _counted(request_id):
        action, receipt = action_of(request), stored_receipt(execution)
    compare(request_id, action, receipt, connection=execution.connection)


def _is_settling(execution: Execution) -> bool:
    """Whether the target is still given time to show the effect."""
    due = execution.read_back_at
    return due is not None and execution.read_backs == 0 and due > db_clock.now()


def compare(request_id: UUID, action: Action, receipt: Receipt, *, connection: str) -> None:
    """`read_back` for the worker that has just carried it out, with both in hand.

    `connection` is the reference of the one it went through.
    """
    connector = connector_for(action_type(action.type), connection)
    with _counted(request_id):
        try:
            found = connector.verify(action, receipt)
        except (ConnectorError, OutcomeUnknown) as error:
            _postpone(request_id, str(error))
            return
    conclude(request_id, found)


def reconcile(request_id: UUID) -> None:
    """Find out by reading what became of a call nobody answered. Never repeats it.

    A target that cannot look anything up is not read; it stays with the people who were told.
    """
    request = ActionRequest.objects.filter(pk=request_id, state=State.OUTCOME_UNKNOWN).first()
    execution = latest_execution_of(request) if request is not None else None
    if request is None or execution is None:
        return
    kind = action_type(request.action_type)
    if not kind.at_most_once.can_look_up:
        _set_aside(request_id)
        return
    connector = connector_for(kind, execution.connection)
    with _counted(request_id):
        try:
            action = action_of(request)
            receipt = connector.look_up(action, idempotency_key=execution.provider_key)
            if receipt is None:
                _postpone(request_id, "The target does not show it.")
                return
            found = connector.verify(action, receipt)
        except (ConnectorError, OutcomeUnknown) as error:
            _postpone(request_id, str(error))
            return
    conclude(request_id, found, receipt=receipt)


@contextmanager
def _counted(request_id: UUID) -> Iterator[None]:
    """Whatever goes wrong in the block was a try: poison is not read for ever, people look."""
    try:
        yield
    except Exception as error:
        name = type(error).__name__
        _postpone(request_id, f"What the target answered could not be used ({name}).")
        raise


def stored_receipt(execution: Execution) -> Receipt:
    """The receipt as it was kept."""
    return Receipt(**json.loads(execution.receipt))


@transaction.atomic
def conclude(request_id: UUID, found: ReadBack, *, receipt: Receipt | None = None) -> None:
    """Keep the read-back and move on it: verified, or an incident for people."""
    request = ActionRequest.objects.locked(request_id)
    if request.state not in (State.EXECUTED, State.OUTCOME_UNKNOWN):
        return
    latest = _LATEST.asking(request=request.pk)
    keys = NextKeys(Verification)
    said = rows_of(request.pk, "policy_decisions", "decisions")
    with asked_together(latest, keys, *said) as at:
        read_at_once(request, "policy_decisions", "decisions")  # whoever approved it is told
        execution: Execution
        (execution,) = latest.all()
        signs_off_itself = not is_asked(request, "sign_off")
        moves = Moves(request, at, keys.drawn())
    if receipt is not None:
        execution.keep_receipt(receipt, at=at)
        execution.save()
    verification = moves.store_keyed(
        Verification(
            execution=execution,
            matches=found.matches,
            observed=canonical(found.observed),
            differences=list(found.differences),
            created_at=at,
        )
    )
    if not found.matches:
        reason: JsonObject = {
            "reason": list(found.differences),
            "verification": verification.pk,
        }
        moves.take(request.refute, AuditCode.VERIFICATION_FAILED, VERIFIER, reason)
        moves.write()
        notifications.incident(request)
        return
    data: JsonObject = {"verification": verification.pk, "receipt": execution.receipt_reference}
    moves.take(request.verify, AuditCode.VERIFIED, VERIFIER, data)
    if signs_off_itself:
        moves.take(request.audit, AuditCode.SIGNED_OFF, VERIFIER)
    notifications.ended(request, moves)
    moves.write()
    if request.compensates_id is not None:
        compensation.complete_undo(request)


_LATEST = Prepared(
    lambda: (
        Execution.objects.select_for_update().filter(request=Given("request")).order_by("-id")[:1]
    )
)


def _latest_execution(request: ActionRequest) -> Execution:
    (execution,) = _LATEST.all(request=request.pk)
    return execution


@transaction.atomic
def _set_aside(request_id: UUID) -> None:
    """Out of the sweeper's way for a while: it takes the oldest first, and others are due."""
    request = ActionRequest.objects.locked(request_id)
    if request.state != State.OUTCOME_UNKNOWN:
        return
    execution = _latest_execution(request)
    execution.read_back_at = db_clock.now() + ASK_AGAIN_AFTER
    execution.save(update_fields=["read_back_at"])


@transaction.atomic
def _postpone(request_id: UUID, problem: str) -> None:
    request = ActionRequest.objects.locked(request_id)
    if request.state not in (State.EXECUTED, State.OUTCOME_UNKNOWN):
        return
    execution = _latest_execution(request)
    at: datetime = db_clock.now()
    execution.read_backs += 1
    tried = execution.read_backs
    execution.problem = _with_cause(request, problem)[:500]
    if tried <= len(READ_AGAIN_AFTER):
        execution.read_back_at = at + READ_AGAIN_AFTER[tried - 1]
        execution.save()
        return
    execution.save()
    move(
        request,
        request.refute,
        AuditCode.VERIFICATION_FAILED,
        actor=VERIFIER,
        data={"reason": "not_shown", "reads": tried, "problem": problem},
    )
    notifications.incident(request)


def _with_cause(request: ActionRequest, problem: str) -> str:
    """What reading came to, after why nobody knows the outcome, as it was put on record then."""
    if request.state != State.OUTCOME_UNKNOWN:
        return problem
    lost = events_of(request).filter(code=AuditCode.OUTCOME_UNKNOWN).last()
    why = json.loads(lost.data).get("reason", "") if lost else ""
    return f"{why} {problem}".strip()
