"""Carrying out exactly what was approved, at most once.

Two transactions with the call between them and nothing open across it. The first claims: it
locks, re-checks everything, consumes the grant and writes the attempt with its fence and lease.
The second keeps the result, if the fence and the lease still say it counts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from approvals.choices import AttemptOutcome, State
from approvals.domain import compensation, integrity, notifications
from approvals.domain.attempts import (
    NOBODY_KNOWS,
    Claim,
    Found,
    Lost,
    Outcome,
    Refused,
    Unasked,
    begin,
    call,
    describe,
    is_blind,
    may_be_done,
    may_repeat,
    pause_before_next,
)
from approvals.domain.drift import ExecutionCheck, check_before_execution, lock_authority
from approvals.domain.evidence import read_target
from approvals.domain.execution_end import done_by_word, fail, finish, lose_track
from approvals.domain.grants import demand_as_issued, issue_asked, revoke_grant
from approvals.domain.new_version import reopen
from approvals.domain.routing import new_policy_decision
from approvals.domain.transitions import EXECUTOR, Moves, move
from approvals.exceptions import IntegrityBroken
from approvals.models import ActionRequest, Attempt, Execution, Grant, PolicyDecision
from approvals.selectors.plans import is_its_turn
from approvals.selectors.requests import (
    action_in,
    action_of,
    agent_locked,
    agent_locked_asked,
    content_of,
    forget_read,
    rows_of,
    usable_grant_asked,
    usable_grant_of,
)
from approvals.services.verify import compare
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.lib.db import insert_one
from audit.lib.prepared import Given, NextKeys, Prepared, asked_together
from audit.services import Entry, record
from connectors.base import Action, Preview, Receipt
from connectors.circuit import why_not_now
from connectors.connections import route_of
from connectors.registry import action_type, is_by_agent, is_read_back
from policies.services.evaluation import held_by, may_begin, versions_asked

logger = logging.getLogger(__name__)


def execute(request_id: UUID) -> None:
    """Carry out the approved request, at most once, then read the effect back.

    Where the target takes a while to show an effect the sweeper reads it back after that.
    Safe to call any number of times, from any number of workers, at any time: it does nothing
    unless the request is approved, its grant usable and its window open. Raises IntegrityBroken
    when the stored action is not the one that was approved; then it has ended and people know.
    """
    try:
        action, at = _due_action(request_id)
        if action is not None and (held_back := _why_held_back(action)):
            logger.info(held_back, extra={"action_id": str(request_id)})
            return  # the sweeper tries again until the grant expires
        claim = claim_now(request_id, read_target(action, at=at)) if action else None
    except IntegrityBroken as broken:
        integrity.end_approved(request_id, broken)
        raise
    if not isinstance(claim, Claim):
        return
    receipt = settle(claim, call(claim))
    kind = action_type(claim.action.type)
    if receipt is not None and kind.is_read_back and not kind.settles_after:
        compare(request_id, claim.action, receipt, connection=claim.connection)


def _due_action(request_id: UUID) -> tuple[Action | None, datetime]:
    """A look without a lock, to read the target before claiming. Everything is checked again.

    And when that was.
    """
    due, issued = _DUE.asking(request=request_id), issue_asked(request_id)
    asked = (due, issued, versions_asked(), *rows_of(request_id, "contents"))
    with asked_together(*asked) as at:
        grant: Grant | None = due.first()
        if grant is None or is_by_agent(grant.action_type):
            return None, at
        if _why_not_yet(grant, at) or not is_its_turn(grant.request):
            return None, at
        if not grant.is_break_glass and not may_begin(grant.window, grant.action_type, at):
            return None, at
        content = content_of(grant.request)
        demand_as_issued(grant.request, grant, content.digest)  # what is not is not even read for
        return action_in(content), at


def _why_held_back(action: Action) -> str:
    """Why nothing would be sent now, although it may be: no attempt is spent on that."""
    route = route_of(action.type, action_type(action.type).system)
    return why_not_now(route) if route else ""


_DUE = Prepared(
    lambda: (
        Grant.objects.filter(consumed_at=None, revoked_at=None)
        .select_related("request")
        .filter(request=Given("request"), request__state=State.APPROVED)[:1]
    )
)


@dataclass(frozen=True, slots=True)
class NotNow:
    """Why nothing was claimed: a code, and a sentence fit for agents."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Redeemer:
    """The agent that carries it out itself, and what it redeems the grant with."""

    agent: Actor
    nonce: str


def _why_not_yet(grant: Grant, at: datetime) -> NotNow | None:
    """Change windows aside."""
    if grant.expires_at <= at:
        return NotNow("grant_expired", "The approval's time is over.")
    if grant.usable_from is not None and grant.usable_from > at:
        # the sweeper comes again
        return NotNow("not_now", "Whoever approved it may still take that back; wait a moment.")
    if grant.needs_start and grant.started_by_id is None:
        return NotNow("not_now", "A person has to start it first.")
    return None


_NOT_ITS_TURN = NotNow("not_now", "It waits for the other steps of its plan.")
_UNREADABLE = NotNow("not_now", "The target cannot be read now.")
_FROZEN = NotNow("not_now", "Everything stands still after a restore until people have looked.")
_CLOSED = NotNow("not_now", "Its change window is closed, or there is a freeze.")


def _is_held(check: ExecutionCheck, grant: Grant, window: str, at: datetime) -> bool:
    """Whether the window is closed now, or there is a freeze."""
    opening = held_by(check.policy, window, grant.action_type, at)
    return not grant.is_break_glass and (opening is None or opening > at)


@transaction.atomic
def claim_now(
    request_id: UUID, preview: Preview, *, redeemer: Redeemer | None = None
) -> Claim | NotNow:
    """Consume the grant for a worker's attempt or, with a `redeemer`, for the agent's own.

    Everything is checked again: what no longer is as it was approved goes back to people. Raises
    IntegrityBroken when what is stored is not what was approved.
    """
    request = ActionRequest.objects.locked(request_id)
    if is_by_agent(request.action_type) != (redeemer is not None):
        return NotNow("executed_by_countersign", "Who carries this out is fixed by its type.")
    if request.state != State.APPROVED:
        return NotNow("not_approved", f"It is {request.get_state_display()}.")
    with asked_together(
        usable_grant_asked(request),
        agent_locked_asked(request),
        *rows_of(request_id, "decisions"),
        keys := NextKeys(Execution),
    ) as at:
        grant = usable_grant_of(request)
        if grant is None:
            return NotNow("not_approved", "Nothing unlocks it any more.")
        if not_yet := _why_not_yet(grant, at):
            return not_yet
        if not is_its_turn(request):
            return _NOT_ITS_TURN
        if preview.unavailable and grant.target_version:
            # it could be read when it was approved; the sweeper tries again until it expires
            logger.info("target unreadable, not now", extra={"action_id": str(request_id)})
            return _UNREADABLE
        request.agent = agent_locked(request)
        approvers = lock_authority(request, grant)
        drawn = keys.drawn()
    check = check_before_execution(request, grant, preview, approvers=approvers, at=at)
    if check.is_frozen:
        return _FROZEN
    if _is_held(check, grant, grant.window, at):
        return _CLOSED
    if check.drift is not None:
        forget_read(request)
        _send_back(request, check, check.drift.for_people, preview, at)
        return NotNow("drift", check.drift.answer)
    if _is_held(check, grant, check.evaluation.window, at):
        return _CLOSED  # policy asks for another window by now
    action = action_of(request)
    possible = may_be_done(request, preview.connection, at, restored=check.restored)
    forget_read(request)
    moves = Moves(request, at, drawn)
    moves.store(_record_of(request, check, at))
    blind = is_blind(request, restored=check.restored)
    if redeemer is None:
        claim = begin(moves, grant, action, preview=preview, possible=possible)
        return replace(claim, is_blind=blind)
    actor, nonce = redeemer.agent, redeemer.nonce
    claim = begin(moves, grant, action, preview=preview, actor=actor, redeemer=nonce)
    if not blind:
        return claim
    attempt = Attempt.objects.select_related("execution").get(execution_id=claim.execution_id)
    lose_track(request, attempt.execution, attempt, NOBODY_KNOWS, at)
    return NotNow("outcome_unknown", NOBODY_KNOWS)


def _record_of(request: ActionRequest, check: ExecutionCheck, at: datetime) -> PolicyDecision:
    return new_policy_decision(
        request,
        check.policy,
        check.evaluation,
        check.facts,
        purpose=PolicyDecision.Purpose.EXECUTION,
        at=at,
    )


def _send_back(
    request: ActionRequest, check: ExecutionCheck, reason: str, preview: Preview, at: datetime
) -> None:
    revoke_grant(request, actor=EXECUTOR, reason=reason, at=at)
    if not check.is_denied:
        reopen(request, check, preview, at=at)
        return
    decision = insert_one(_record_of(request, check, at))
    request.risk_tier, request.verdict = check.evaluation.tier, check.evaluation.verdict.value
    move(
        request,
        request.deny,
        AuditCode.DENIED,
        actor=EXECUTOR,
        data={
            "reason": list(check.evaluation.denied_by),
            "policy": check.evaluation.version,
            "policy_decision": decision.pk,
        },
    )
    compensation.end_undo(request)
    notifications.ended(request)


@transaction.atomic
def settle(claim: Claim, outcome: Outcome) -> Receipt | None:
    """Keep the result, if this attempt's fence and lease still hold; else keep it as evidence.

    Returns the receipt of an effect that is to be read back now.
    """
    request = ActionRequest.objects.locked(claim.request_id)
    held = _HELD.asking(execution=claim.execution_id, fence=claim.fence)
    with asked_together(held) as at:
        attempt: Attempt
        (attempt,) = held.all()
    execution, moves = attempt.execution, Moves(request, at)
    attempt.finished_at = at
    lease = execution.lease_until
    if execution.fence != claim.fence or lease is None or lease <= at:
        attempt.late_result = describe(outcome)
        attempt.save(update_fields=["late_result", "finished_at"])
        record(
            AuditCode.LATE_RESULT,
            actor=EXECUTOR,
            subject=request,
            data={"attempt": claim.fence, "result": describe(outcome)},
            at=at,
        )
        return None
    match outcome:
        case Receipt():
            receipt = finish(moves, execution, attempt, outcome)
            if not is_read_back(request.action_type):
                done_by_word(request)
            return receipt
        case Found(receipt):
            data: JsonObject = {"receipt": receipt.reference, "attempt": attempt.fence}
            moves.also(Entry(AuditCode.EFFECT_FOUND, EXECUTOR, request.state, data))
            return finish(moves, execution, attempt, receipt)
        case Refused(permanent=True):
            fail(request, execution, attempt, outcome.reason, at)
        case Refused() if _outlives_grant(execution, outcome.retry_after, at):
            reason = f"{outcome.reason} {_TOO_LONG}"
            lose_track(request, execution, attempt, reason, at)
        case Refused():
            retry, pause = AttemptOutcome.RETRY, outcome.retry_after
            _call_again_later(execution, attempt, retry, outcome.reason, at, asked_for=pause)
        case Unasked():
            _call_again_later(execution, attempt, AttemptOutcome.UNASKED, outcome.reason, at)
        case Lost(is_final=False) if may_repeat(request, execution, at):
            _call_again_later(execution, attempt, AttemptOutcome.UNKNOWN, outcome.reason, at)
        case Lost():
            lose_track(request, execution, attempt, outcome.reason, at)
    return None


_HELD = Prepared(
    lambda: (
        Attempt.objects.select_for_update(of=("self", "execution"))
        .select_related("execution__grant")
        .filter(execution=Given("execution"), fence=Given("fence"))
    )
)


_TOO_LONG = "It asks for a longer pause than the approval holds. Nothing was done by this call."


def _outlives_grant(execution: Execution, asked_for: timedelta | None, at: datetime) -> bool:
    """Whether the target asks to be left alone beyond the grant's end: then people have it."""
    return asked_for is not None and at + asked_for >= execution.grant.expires_at


def _call_again_later(
    execution: Execution,
    attempt: Attempt,
    outcome: AttemptOutcome,
    reason: str,
    at: datetime,
    *,
    asked_for: timedelta | None = None,
) -> None:
    """Keep how the attempt ended; once its pause is over the sweeper finds the execution."""
    attempt.outcome, attempt.detail = outcome, reason
    attempt.save(update_fields=["outcome", "detail", "finished_at"])
    execution.lease_until = at + pause_before_next(execution, after=outcome, asked_for=asked_for)
    execution.save(update_fields=["lease_until"])
