"""Actions an agent carries out itself: it redeems the grant once, does it, and reports.

Redeeming is the claim a worker makes of every other action, under the same checks. What the agent
reports settles it: as done, never as verified, because nobody here can read it back. A grant that
was redeemed and not reported on in time is picked up with the leases workers lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db import transaction

from approvals.choices import ExecutionState, State
from approvals.domain import integrity, notifications
from approvals.domain.derivation import demand_intact
from approvals.domain.evidence import read_target
from approvals.domain.execution_end import fail, finish, lose_track
from approvals.domain.grants import demand_as_issued
from approvals.domain.transitions import EXECUTOR, Moves
from approvals.exceptions import GrantExpired, GrantRefused, IntegrityBroken, NotFound
from approvals.models import ActionRequest, Agent, Attempt, Execution, IntegrityIncident
from approvals.selectors.requests import action_of
from approvals.services.execute import NotNow, Redeemer, claim_now
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.selectors import events_of
from audit.services import Entry, record
from connectors.base import Receipt
from connectors.registry import is_by_agent


class Reported(StrEnum):
    """What an agent says came of it."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Report:
    """What the agent reports; `receipt` and `result_digest` are its words, never checked here."""

    fence: int
    outcome: Reported
    receipt: str = ""
    result_digest: str = ""

    @property
    def data(self) -> JsonObject:
        """As the trail keeps it."""
        return {
            "attempt": self.fence,
            "outcome": self.outcome.value,
            "receipt": self.receipt,
            "result_digest": self.result_digest,
        }

    def __str__(self) -> str:
        told = filter(None, (self.receipt, self.result_digest))
        return " ".join((f"reported by the agent: {self.outcome.value}", *told))


@dataclass(frozen=True, slots=True)
class RedeemedGrant:
    """What the agent may do now, once: exactly these params, with a report before `not_after`."""

    id: int
    digest: str
    params: JsonObject
    not_after: datetime
    fence: int


def redeem(request_id: UUID, *, agent: Agent, redeemer: str) -> RedeemedGrant:
    """Give the grant to its agent, at most once.

    The same `redeemer` gets the same answer while its lease lasts, so a lost answer is asked for
    again; nobody else gets one. Everything is checked again, as before a worker's call: what no
    longer is as it was approved goes back to people.

    Raises GrantRefused, whose code says why; GrantExpired; NotFound for another agent's request;
    and IntegrityBroken when what is stored is not what was approved, which has ended then.
    """
    found = ActionRequest.objects.filter(pk=request_id, agent=agent).first()
    if found is None:
        raise NotFound("There is no such request of yours.")
    if not is_by_agent(found.action_type):
        raise GrantRefused(
            "Countersign carries this out: there is nothing for you to redeem.",
            code="executed_by_countersign",
        )
    refused = NotNow("not_approved", f"It is {found.get_state_display()}.")
    try:
        if found.state == State.APPROVED:
            by = Redeemer(Actor.agent(agent), redeemer)
            claim = claim_now(request_id, read_target(action_of(found)), redeemer=by)
            if isinstance(claim, NotNow):
                refused = claim
        if refused.code == "not_approved":
            return _in_hand(request_id, redeemer, refused)
    except IntegrityBroken as broken:
        integrity.end_approved(request_id, broken)
        found_by = IntegrityIncident.FoundBy.EXECUTION  # also where it has been redeemed already
        integrity.report(request_id, broken, found_by=found_by, actor=EXECUTOR)
        raise
    if refused.code == GrantExpired.code:
        raise GrantExpired(refused.message)
    raise GrantRefused(refused.message, code=refused.code)


@transaction.atomic
def _in_hand(request_id: UUID, redeemer: str, refused: NotNow) -> RedeemedGrant:
    """The grant this redeemer holds: it has just got it, or asks for it again."""
    request = ActionRequest.objects.locked(request_id)
    execution = _execution_of(request)
    if execution is None:
        if request.state == State.EXPIRED and request.grants.exists():
            raise GrantExpired("Nobody redeemed the grant in time.")
        raise GrantRefused(refused.message, code=refused.code)
    lease, at = execution.lease_until, db_clock.now()
    is_running = execution.state == ExecutionState.RUNNING and lease is not None and lease > at
    if lease is None or not is_running or execution.redeemer != redeemer:
        raise GrantRefused("The grant has been redeemed already.", code="grant_consumed")
    demand_intact(request)
    demand_as_issued(request, execution.grant, request.digest)
    params = action_of(request).params
    return RedeemedGrant(execution.grant_id, request.digest, params, lease, execution.fence)


def report(request_id: UUID, *, agent: Agent, said: Report) -> None:
    """Keep what the agent says came of it. The same report again changes nothing.

    In time and under the grant's fence it settles the request: done, and never verified; failed;
    or unknown, for people to find out. Any other is kept as evidence and overwrites nothing: then
    GrantRefused is raised, with the code "wrong_fence", "late_report" or "already_reported", and
    "not_redeemed" where there is nothing to report on. Raises NotFound for another agent's request.
    """
    refusal = _keep(request_id, agent, said)
    if refusal is not None:  # what was kept is committed
        raise refusal


@transaction.atomic
def _keep(request_id: UUID, agent: Agent, said: Report) -> GrantRefused | None:
    if not ActionRequest.objects.filter(pk=request_id, agent=agent).exists():
        raise NotFound("There is no such request of yours.")
    request = ActionRequest.objects.locked(request_id)
    execution, actor, at = _execution_of(request), Actor.agent(agent), db_clock.now()
    if execution is None or not execution.redeemer:
        return GrantRefused("Nobody has redeemed a grant of it.", code="not_redeemed")
    if said.fence != execution.fence:
        sentence = "That is not the fence of the grant; it is kept as evidence and changes nothing."
        return _refuse(request, said, actor, "wrong_fence", sentence, at)
    attempt = execution.attempts.get(fence=execution.fence)
    earlier = events_of(request).filter(code=AuditCode.REPORTED).first()
    if earlier is not None:
        if json.loads(earlier.data) == said.data:
            return None
        sentence = "You reported something else before; this is kept and changes nothing."
        return _refuse(request, said, actor, "already_reported", sentence, at)
    lease = execution.lease_until
    if execution.state != ExecutionState.RUNNING or lease is None or lease <= at:
        return _keep_late(request, attempt, said, actor, at)
    _settle(request, execution, attempt, said, actor, at)
    return None


def _settle(
    request: ActionRequest,
    execution: Execution,
    attempt: Attempt,
    said: Report,
    actor: Actor,
    at: datetime,
) -> None:
    if said.outcome is Reported.DONE:
        moves = Moves(request, at)
        moves.also(Entry(AuditCode.REPORTED, actor, request.state, said.data))
        detail: JsonObject = {"reported_by": actor.name, "result_digest": said.result_digest}
        receipt = Receipt(said.receipt, "Reported by the agent, not verified.", detail)
        finish(moves, execution, attempt, receipt, actor=actor)
        notifications.ended(request)
        return
    record(AuditCode.REPORTED, actor=actor, subject=request, data=said.data, at=at)
    told = f" ({said.receipt})" if said.receipt else ""
    if said.outcome is Reported.FAILED:
        reason = f"The agent reported that it failed{told}."
        fail(request, execution, attempt, reason, at, actor=actor)
    else:
        reason = f"The agent reported that it does not know what came of it{told}."
        lose_track(request, execution, attempt, reason, at, actor=actor)


def _keep_late(
    request: ActionRequest, attempt: Attempt, said: Report, actor: Actor, at: datetime
) -> GrantRefused:
    """Evidence for whoever finds out what happened; the same one is kept once."""
    late = GrantRefused(
        "The time to report is over. It is kept as evidence; people find out what happened.",
        code="late_report",
    )
    if attempt.late_result == str(said):
        return late
    if not attempt.late_result:
        attempt.late_result, attempt.finished_at = str(said), at
        attempt.save(update_fields=["late_result", "finished_at"])
    data: JsonObject = {"attempt": said.fence, "result": str(said)}
    record(AuditCode.LATE_RESULT, actor=actor, subject=request, data=data, at=at)
    return late


def _refuse(
    request: ActionRequest, said: Report, actor: Actor, code: str, sentence: str, at: datetime
) -> GrantRefused:
    data: JsonObject = {**said.data, "reason": code}
    record(AuditCode.REPORT_REFUSED, actor=actor, subject=request, data=data, at=at)
    return GrantRefused(sentence, code=code)


def _execution_of(request: ActionRequest) -> Execution | None:
    """The newest one of a locked request, locked."""
    rows = Execution.objects.select_for_update(of=("self",)).select_related("grant")
    return rows.filter(request=request).order_by("-id").first()
