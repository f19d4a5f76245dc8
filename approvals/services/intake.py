"""Carrying a stored proposal on to the point where policy or people have it.

Two transactions with the read of the target between them: nothing is called with one open. A
slow target or a crash between them leaves the row in `requested`; `continue_intake` picks it up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import Model

from approvals.choices import State
from approvals.exceptions import InvalidProposal
from approvals.models import ActionRequest, PolicyDecision
from approvals.selectors import clock
from approvals.services import assign, compensate, dispatch, loops, notify
from approvals.services.derive import rederive
from approvals.services.evidence import read_target, store_reading
from approvals.services.grants import issue_grant
from approvals.services.judge import judge_stored
from approvals.services.moves import INTAKE, POLICY, demand_own_code
from approvals.services.route import (
    alarm_empty_routes,
    case_for_all,
    create_requirements,
    keep_policy_decision,
)
from audit.actors import Actor
from audit.canonical import JsonObject
from audit.events import AuditCode
from audit.services import Entry, history_row, record, record_all, save_without_history
from connectors.base import Action, Preview
from policies.services import shadow
from policies.verdicts import Evaluation, Verdict

logger = logging.getLogger(__name__)

CLAIM = timedelta(seconds=30)
"""How long one process has the intake of a request to itself."""

INLINE_READ_SECONDS = 3.0
"""How long a proposal's own call waits for the target; after that a worker carries it on."""

_readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="preview")


def begin_intake(request_id: UUID, action: Action) -> None:
    """Carry a stored proposal on, if its target answers soon; else leave it to a worker.

    The agent gets its answer either way, and a hanging target holds no web thread for longer
    than INLINE_READ_SECONDS. The caller has just stored `action`, and claimed the intake.
    """
    reading = _readers.submit(read_target, action)
    try:
        preview = reading.result(timeout=INLINE_READ_SECONDS)
    except TimeoutError:
        reading.cancel()
        _leave_to_worker(request_id)
        return
    _carry_on(request_id, preview)


@transaction.atomic
def _leave_to_worker(request_id: UUID) -> None:
    # no move, so no history row either
    ActionRequest.objects.filter(pk=request_id).update(intake_claimed_until=None)
    dispatch.intake_of(request_id)


def continue_intake(request_id: UUID) -> None:
    """Carry on an intake that somebody began and did not finish. Does nothing to any other."""
    with transaction.atomic():
        request = ActionRequest.objects.locked(request_id)
        at = clock.now()
        claimed = request.intake_claimed_until
        if request.state != State.REQUESTED or (claimed is not None and claimed > at):
            return
        # no move, so no history row either
        ActionRequest.objects.filter(pk=request.pk).update(intake_claimed_until=at + CLAIM)
    finish_intake(request_id)


def finish_intake(request_id: UUID) -> None:
    """Read the target, however long it takes, evaluate policy, route. Claimed by the caller."""
    request = ActionRequest.objects.select_related("agent").get(pk=request_id)
    if request.state != State.REQUESTED:
        return
    try:
        preview = read_target(rederive(request).action)
    except InvalidProposal as error:
        # the action type became stricter between the two halves
        preview = Preview(unavailable=f"No longer valid: {error.problems[0].message}"[:300])
    _carry_on(request_id, preview)


def _carry_on(request_id: UUID, preview: Preview) -> None:
    """Classify and route on that reading; on none at all when nothing can be made of it.

    What an adapter returns may be unfit to be stored or judged (a value that is no JSON, a fact
    nobody declared). Then people get the request without it, instead of nobody at all.
    """
    try:
        _classify_and_route(request_id, preview)
    except DatabaseError:
        raise  # says nothing about the reading
    except Exception:
        if preview.unavailable:
            raise
        logger.exception("reading cannot be used", extra={"action_id": str(request_id)})
        sentence = "What the target system answered could not be used, by a mistake of ours."
        _classify_and_route(request_id, Preview(unavailable=sentence))


def _locked_with_agent(request_id: UUID) -> ActionRequest:
    """The request and its agent: who proposes in circles is paused, and counters come last."""
    found = ActionRequest.objects.select_for_update(of=("self", "agent"), no_key=True)
    return found.select_related("agent__owner").get(pk=request_id)


@transaction.atomic
def _classify_and_route(request_id: UUID, preview: Preview) -> None:
    request = _locked_with_agent(request_id)
    if request.state != State.REQUESTED:
        return
    at = clock.now()
    store_reading(request, preview, at=at)
    judged = judge_stored(request, preview, now=at, counting=True)
    evaluation = judged.evaluation
    decision = keep_policy_decision(
        request,
        judged.policy,
        evaluation,
        judged.facts,
        purpose=PolicyDecision.Purpose.INTAKE,
        at=at,
    )
    shadow.observe(
        facts=judged.facts,
        evaluation=evaluation,
        subject_id=str(request.pk),
        action_type=request.action_type,
        amount_base=request.amount_base,
        at=at,
    )
    steps = _Steps(request)
    steps.take(
        request.classify,
        AuditCode.CLASSIFIED,
        INTAKE,
        {"action_type": request.action_type, "target": request.target, "digest": request.digest},
    )
    items = list(request.evidence.filter(version=request.version).values_list("sha256", flat=True))
    steps.take(
        request.collect,
        AuditCode.EVIDENCE_COLLECTED,
        INTAKE,
        {
            "items": len(items),
            "digests": items,
            "target_version": preview.target_version,
            "unavailable": preview.unavailable,
        },
    )
    request.risk_tier, request.verdict = evaluation.tier, evaluation.verdict.value
    steps.take(
        request.check_policy,
        AuditCode.POLICY_CHECKED,
        POLICY,
        {
            "policy": evaluation.version,
            "policy_decision": decision.pk,
            "verdict": evaluation.verdict.value,
            "tier": evaluation.tier,
            "matched": [rule.rule for rule in evaluation.matched],
        },
    )
    request.intake_claimed_until = None
    _settle(steps, evaluation, at)
    for rule in evaluation.standing:
        record(
            AuditCode.STANDING_APPROVAL_USED,
            actor=POLICY,
            subject=request,
            data={"rule": rule, "policy": evaluation.version, "policy_decision": decision.pk},
        )


def _settle(steps: _Steps, evaluation: Evaluation, at: datetime) -> None:
    request = steps.request
    if evaluation.verdict == Verdict.DENY:
        reasons = [r.reason for r in evaluation.matched if r.effect == Verdict.DENY]
        steps.take(request.deny, AuditCode.DENIED, POLICY, {"reason": "; ".join(reasons)})
        steps.save()
        compensate.end_undo(request)
        notify.ended(request)
        loops.pause_if_looping(request, at=at)
        return
    if evaluation.verdict == Verdict.ALLOW:
        request.decide_by = None
        request.execute_by = at + evaluation.clocks.execute_by
        steps.take(request.allow, AuditCode.ALLOWED, POLICY, {"policy": evaluation.version})
        steps.save()
        issue_grant(
            request,
            approvers=[],
            window=evaluation.window,
            expires_at=request.execute_by,
            actor=POLICY,
            at=at,
        )
        dispatch.execution_of(request.pk)
        return
    asked = request.decide_by
    ceiling = at + evaluation.clocks.decide_by
    request.decide_by = min(asked, ceiling) if asked else ceiling
    request.clock_started_at = at
    requirements = create_requirements(request, evaluation.requirements)
    groups = sorted({r.group for r in requirements})
    steps.take(request.route, AuditCode.ROUTED, POLICY, {"groups": ", ".join(groups)})
    steps.save()
    case = case_for_all(request, at=at)
    alarm_empty_routes(request, requirements, case=case, at=at)
    assign.suggest(request, requirements, case=case, at=at)
    notify.routed(request, requirements)


@dataclass(slots=True)
class _Step:
    entry: Entry
    reason: str


class _Steps:
    """Several moves in memory, written as one UPDATE, their events and history rows in bulk."""

    def __init__(self, request: ActionRequest) -> None:
        self.request = request
        self._entries: list[Entry] = []
        self._history: list[Model] = []

    def take(
        self, transition: Callable[[], None], code: AuditCode, actor: Actor, data: JsonObject
    ) -> None:
        transition()
        demand_own_code(code, self.request.state)
        self.request.updated_at = clock.now()
        self._entries.append(Entry(code, actor, self.request.state, data))
        self._history.append(history_row(self.request, actor=actor, reason=code.value))

    def save(self) -> None:
        record_all(self._entries, subject=self.request)
        save_without_history(self.request)
        type(self.request).history.model.objects.bulk_create(self._history)
