"""The agent's side of the thread: answering, and taking a proposal back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from approvals.choices import WITHDRAWABLE, State
from approvals.domain import compensation, notifications, reminders
from approvals.domain.derivation import demand_intact
from approvals.domain.grants import revoke_grant
from approvals.domain.new_evidence import look_again
from approvals.domain.new_version import void_approvals
from approvals.domain.routing import close_requirements
from approvals.domain.target_reader import read_or_go_without
from approvals.domain.transitions import move
from approvals.exceptions import (
    FieldProblem,
    InvalidProposal,
    NotAllowedForAgent,
    NotFound,
    WrongState,
)
from approvals.models import ActionRequest, Agent, ThreadEntry
from approvals.proposal import SuppliedEvidence
from approvals.selectors.evidence_gaps import evidence_gaps
from approvals.selectors.requests import action_of, policy_decision_of
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from connectors.base import Preview


def answer(
    request_id: UUID,
    *,
    agent: Agent,
    body: str,
    evidence: tuple[SuppliedEvidence, ...] = (),
) -> ActionRequest:
    """Answer the reviewer's question, or supply evidence that is missing without being asked.

    The reviewers' clock goes on where it stopped. Whoever had approved before looks again: they
    have not seen the answer. With evidence the target is read and policy asked again.

    Raises WrongState when nothing was asked and nothing is missing, or time to answer has run out,
    and NotAllowedForAgent when a person opened it.
    """
    preview = None
    if evidence:
        with transaction.atomic():
            _demand_use(_own(request_id, agent), body, evidence)
        preview = read_or_go_without(action_of(ActionRequest.objects.get(pk=request_id)))
    return _answer(request_id, agent, body, evidence, preview)


@transaction.atomic
def _answer(
    request_id: UUID,
    agent: Agent,
    body: str,
    evidence: tuple[SuppliedEvidence, ...],
    preview: Preview | None,
) -> ActionRequest:
    request = _own(request_id, agent)
    at = _demand_use(request, body, evidence)
    actor = Actor.agent(agent)
    ThreadEntry.objects.create(
        request=request,
        actor_kind=ActorKind.AGENT,
        actor_name=agent.name,
        body=body,
        created_at=at,
    )
    if request.state == State.CHANGES_REQUESTED:
        _go_on(request, actor, at=at, is_seen_again=preview is not None)
    if preview is not None:
        demand_intact(request)
        look_again(
            request, preview, AuditCode.EVIDENCE_SUPPLIED, actor=actor, supplied=evidence, at=at
        )
    return request


def _demand_use(
    request: ActionRequest, body: str, evidence: tuple[SuppliedEvidence, ...]
) -> datetime:
    """Whether an answer is waited for; evidence also where some is missing. The time, if so."""
    at = db_clock.now()
    is_missing = bool(evidence) and request.state == State.PENDING_APPROVAL
    if is_missing:
        policy = policy_decision_of(request)
        is_missing = policy is not None and bool(evidence_gaps(request, policy, at=at))
    if request.state != State.CHANGES_REQUESTED and not is_missing:
        raise WrongState(f"Nothing is waiting for an answer: this is {request.state}.")
    if request.answer_by is not None and request.answer_by <= at:
        raise WrongState("The time to answer has run out.")
    if not body.strip():
        raise InvalidProposal([FieldProblem("answer", "Must not be empty.")])
    return at


def _go_on(request: ActionRequest, actor: Actor, *, at: datetime, is_seen_again: bool) -> None:
    """Back to the people who asked, with the clock where it stopped."""
    if not is_seen_again:
        void_approvals(request, at=at)
    if request.decide_by is not None and request.clock_stopped_at is not None:
        stopped_for = at - request.clock_stopped_at
        request.decide_by += stopped_for
        reminders.shift(request, stopped_for, at=at)
    request.clock_stopped_at = None
    request.answer_by = None
    move(request, request.answer, AuditCode.ANSWERED, actor=actor)
    notifications.answered(request)


@transaction.atomic
def withdraw(request_id: UUID, *, agent: Agent, reason: str = "") -> ActionRequest:
    """Take the proposal back, as long as nothing has begun. Withdrawing twice is harmless.

    Raises WrongState once execution began or the request ended another way, and
    NotAllowedForAgent when a person opened it: an agent does not stop the undo of what it did.
    """
    request = _own(request_id, agent)
    if request.state == State.WITHDRAWN:
        return request
    if request.state not in WITHDRAWABLE:
        raise WrongState(f"Too late to withdraw: this is {request.state}.")
    take_back(request, actor=Actor.agent(agent), reason=reason)
    return request


def take_back(request: ActionRequest, *, actor: Actor, reason: str) -> None:
    """End a locked request that has not begun, without anybody having said no."""
    revoke_grant(request, actor=actor, reason="withdrawn", at=db_clock.now())
    close_requirements(request)
    move(request, request.withdraw, AuditCode.WITHDRAWN, actor=actor, data={"reason": reason})
    compensation.end_undo(request)
    notifications.ended(request)


def _own(request_id: UUID, agent: Agent) -> ActionRequest:
    request = ActionRequest.objects.locked(request_id)
    if request.agent_id != agent.pk:
        raise NotFound("There is no such request of yours.")
    if request.requested_by_id is not None:
        raise NotAllowedForAgent(
            "A person opened this, not you: only people answer for it.", code="opened_by_person"
        )
    return request
