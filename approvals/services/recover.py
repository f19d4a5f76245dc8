"""Picking up attempts whose lease ran out: repeat where that is safe, read where it can be, ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from django.conf import settings
from django.db import transaction

from approvals.choices import AttemptOutcome, ExecutionState, State
from approvals.domain import integrity
from approvals.domain.attempts import (
    ASK_AGAIN_AFTER,
    Claim,
    Lost,
    Outcome,
    Possible,
    Refused,
    Unasked,
    call,
    key_still_known,
    look_up,
    may_be_done,
    nothing_happened,
    open_attempt,
    this_call,
)
from approvals.domain.execution_end import fail, lose_track
from approvals.domain.grants import demand_as_issued
from approvals.domain.transitions import EXECUTOR
from approvals.exceptions import IntegrityBroken
from approvals.models import ActionRequest, Attempt, Execution, IntegrityIncident
from approvals.selectors.pauses import Stop, stopped_since
from approvals.selectors.requests import action_of
from approvals.selectors.restores import restored_since
from approvals.services.execute import settle
from approvals.services.verify import read_back
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record
from connectors.base import ConnectorError, OutcomeUnknown
from connectors.circuit import why_not_now
from connectors.connections import route_of
from connectors.registry import action_type


class _Way(Enum):
    REPEAT = auto()  # the same call with the same key, unless the target shows the effect
    READ = auto()  # ask the target whether it happened
    GIVE_UP = auto()


@dataclass(frozen=True, slots=True)
class _Plan:
    claim: Claim
    way: _Way


def recover(request_id: UUID) -> None:
    """Carry on an execution whose lease has expired. Does nothing to any other.

    The same key again where the target keeps keys and does not show the effect; a read where it
    can be asked; otherwise `outcome_unknown` for a person. Never a blind retry.
    """
    plan = _take_over(request_id)
    if plan is None:
        return
    outcome = _read(plan.claim) if plan.way is _Way.READ else call(plan.claim)
    if isinstance(outcome, Refused | Unasked) and not nothing_happened(
        plan.claim.execution_id, before=plan.claim.fence
    ):
        # it speaks of this call only; the one before may have had its effect already
        outcome = Lost(
            f"An earlier call may have had its effect; this one: {outcome.reason}",
            is_final=isinstance(outcome, Refused) and outcome.permanent,
        )
    settle(plan.claim, outcome)
    read_back(request_id)


@transaction.atomic
def _take_over(request_id: UUID) -> _Plan | None:
    request = ActionRequest.objects.locked(request_id)
    if request.state != State.EXECUTING:
        return None
    execution = Execution.objects.select_for_update().get(
        request=request, state=ExecutionState.RUNNING
    )
    at = db_clock.now()
    if execution.lease_until is None or execution.lease_until > at:
        return None
    last = execution.attempts.get(fence=execution.fence)
    stop = stopped_since(request, execution.grant.created_at)
    way = _way(request, execution, stop, at)
    if way is not _Way.GIVE_UP and _is_held_back(execution, request, at):
        execution.lease_until = at + ASK_AGAIN_AFTER[0]
        execution.save(update_fields=["lease_until"])
        return None
    if last.outcome == AttemptOutcome.RUNNING:
        last.outcome, last.finished_at = AttemptOutcome.LEASE_EXPIRED, at
        last.save(update_fields=["outcome", "finished_at"])
        record(
            AuditCode.LEASE_EXPIRED,
            actor=EXECUTOR,
            subject=request,
            data={"attempt": last.fence},
        )
    if way is _Way.GIVE_UP:
        _give_up(request, execution, last, stop, at)
        return None
    try:
        action = action_of(request)
        demand_as_issued(request, execution.grant, request.digest)
    except IntegrityBroken as broken:
        # nothing may be called with these bytes again, not even to look; without a lease it
        # leaves the sweeper's list and waits for a person
        integrity.keep(request, broken, found_by=IntegrityIncident.FoundBy.EXECUTION)
        lose_track(request, execution, last, broken.message, at)
        return None
    possible = _may_be_done(request, execution, at)
    claim = open_attempt(request, execution, action, at=at, possible=possible)
    record(
        AuditCode.EXECUTION_RETRIED,
        actor=EXECUTOR,
        subject=request,
        data={"attempt": claim.fence, "way": way.name.lower()},
    )
    return _Plan(claim, way)


def _is_held_back(execution: Execution, request: ActionRequest, at: datetime) -> bool:
    """Whether its connection is called by nobody now: as long as the grant holds, it waits."""
    kind = action_type(request.action_type)
    route = route_of(kind.key, kind.system, execution.connection)
    return route is not None and why_not_now(route) != "" and execution.grant.expires_at > at


def _way(request: ActionRequest, execution: Execution, stop: Stop | None, at: datetime) -> _Way:
    """A pause since the approval leaves reading: what was not called by then never is."""
    promise = action_type(request.action_type).at_most_once
    if execution.fence >= settings.EXECUTION_MAX_ATTEMPTS:
        return _Way.GIVE_UP
    if _ran_out_untouched(execution, at):
        return _Way.GIVE_UP
    if nothing_happened(execution.pk) and not (stop and stop.is_restore):
        return _Way.GIVE_UP if stop else _Way.REPEAT
    if stop is not None:
        return _Way.READ if promise.can_look_up else _Way.GIVE_UP
    if promise.may_repeat and key_still_known(promise, execution.started_at, at):
        return _Way.REPEAT
    return _Way.READ if promise.can_look_up else _Way.GIVE_UP


def _ran_out_untouched(execution: Execution, at: datetime) -> bool:
    """Waited for until the grant was over: nothing is called under it any more."""
    return execution.grant.expires_at <= at and nothing_happened(execution.pk)


def _may_be_done(
    request: ActionRequest, execution: Execution, at: datetime
) -> tuple[Possible, ...]:
    if nothing_happened(execution.pk):
        restored = restored_since(request.created_at)
        return may_be_done(request, execution.connection, at, restored=restored)
    promise = action_type(request.action_type).at_most_once
    return (this_call(request, execution.connection),) if promise.can_look_up else ()


_NO_WORKER = "The worker was lost during the call."
_NO_REPORT = "The agent redeemed the grant and did not report in time what came of it."


def _give_up(
    request: ActionRequest, execution: Execution, last: Attempt, stop: Stop | None, at: datetime
) -> None:
    if stop is not None and stop.is_restore:
        lose_track(request, execution, last, f"Not repeated. {stop.for_agents}", at)
    elif last.outcome == AttemptOutcome.UNASKED and stop is None:
        lose_track(request, execution, last, last.detail, at)
    elif stop is None and _ran_out_untouched(execution, at):
        over = "The approval's time is over, and no call had an effect."
        lose_track(request, execution, last, f"{last.detail} {over}", at)
    elif nothing_happened(execution.pk):
        if stop is not None:
            fail(request, execution, last, f"Nothing was sent. {stop.for_agents}", at)
            return
        fail(request, execution, last, f"Given up after {last.fence} attempts: {last.detail}", at)
    else:
        why = last.detail or (_NO_REPORT if execution.redeemer else _NO_WORKER)
        stopped = f" Not repeated: {stop.for_agents}" if stop else ""
        lose_track(request, execution, last, f"{why}{stopped}", at)


def _read(claim: Claim) -> Outcome:
    try:
        done = look_up([Possible(claim.action, claim.provider_key, claim.connection)])
    except (ConnectorError, OutcomeUnknown) as error:
        return Lost(f"The target could not be asked: {error}")
    if done is None:
        return Lost("A call was lost; the target does not show its effect yet.")
    return done.receipt
