"""How an execution ends: with a receipt, without effect, or with nobody knowing."""

from __future__ import annotations

from datetime import datetime

from approvals.choices import AttemptOutcome, ExecutionState
from approvals.domain import compensation, notifications
from approvals.domain.transitions import EXECUTOR, Moves, move
from approvals.models import (
    ActionRequest,
    Attempt,
    Execution,
    WebhookDelivery,
    WebhookEndpoint,
)
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from connectors.base import Receipt
from connectors.registry import action_type


def finish(
    moves: Moves,
    execution: Execution,
    attempt: Attempt,
    receipt: Receipt,
    *,
    actor: Actor = EXECUTOR,
) -> Receipt:
    """Keep the receipt; the effect still has to be read back, where somebody can."""
    attempt.outcome, attempt.detail = AttemptOutcome.RECEIPT, receipt.summary
    attempt.finished_at = moves.at
    moves.change(attempt, "outcome", "detail", "finished_at")
    execution.keep_receipt(receipt, at=moves.at)
    settles_after = action_type(moves.request.action_type).settles_after
    if settles_after:
        execution.read_back_at = moves.at + settles_after
    moves.change_on_record(execution)
    done: JsonObject = {"receipt": receipt.reference, "attempt": attempt.fence}
    moves.take(moves.request.finish, AuditCode.EXECUTED, actor, done)
    moves.write()
    return receipt


def done_by_word(request: ActionRequest) -> None:
    """Nothing follows that would tell anybody that it is done: they are told now."""
    notifications.ended(request)
    at = request.updated_at
    endpoints = WebhookEndpoint.objects.filter(agent=request.agent_id, disabled_at=None)
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            endpoint=endpoint, request=request, state=request.state, created_at=at,
            next_attempt_at=at, attempts=0, problem="",
        )
        for endpoint in endpoints
    )  # fmt: skip


def fail(
    request: ActionRequest,
    execution: Execution,
    attempt: Attempt,
    reason: str,
    at: datetime,
    *,
    actor: Actor = EXECUTOR,
) -> None:
    """It was definitely refused: the end, without effect."""
    attempt.outcome, attempt.detail = AttemptOutcome.REFUSED, reason
    attempt.finished_at = at
    attempt.save(update_fields=["outcome", "detail", "finished_at"])
    execution.state, execution.lease_until = ExecutionState.FAILED, None
    execution.problem, execution.finished_at = reason[:500], at
    execution.save()
    move(request, request.fail, AuditCode.FAILED, actor=actor, data={"reason": reason})
    compensation.end_undo(request)
    notifications.ended(request)


def lose_track(
    request: ActionRequest,
    execution: Execution,
    attempt: Attempt,
    reason: str,
    at: datetime,
    *,
    actor: Actor = EXECUTOR,
) -> None:
    """Nobody knows whether it happened: never repeated blindly, read and shown to a person."""
    if attempt.outcome != AttemptOutcome.UNKNOWN:  # else what it says of the call is final
        attempt.outcome, attempt.detail = AttemptOutcome.UNKNOWN, reason
        attempt.finished_at = at
        attempt.save(update_fields=["outcome", "detail", "finished_at"])
    execution.state, execution.lease_until = ExecutionState.UNKNOWN, None
    execution.problem, execution.read_back_at = reason[:500], at
    execution.save()
    move(
        request,
        request.lose_track,
        AuditCode.OUTCOME_UNKNOWN,
        actor=actor,
        data={"reason": reason, "attempt": attempt.fence},
    )
    notifications.incident(request)
