"""The agent's side of the thread: answering, and taking a proposal back."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from approvals.choices import WITHDRAWABLE, State
from approvals.domain import compensation, notifications, reminders
from approvals.domain.evidence import store_supplied
from approvals.domain.grants import revoke_grant
from approvals.domain.new_version import void_approvals
from approvals.domain.routing import close_requirements
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
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock


@transaction.atomic
def answer(
    request_id: UUID,
    *,
    agent: Agent,
    body: str,
    evidence: tuple[SuppliedEvidence, ...] = (),
) -> ActionRequest:
    """Answer the reviewer's question; the reviewers' clock goes on where it stopped.

    Whoever had approved before looks again: they have not seen the answer.

    Raises WrongState when nothing was asked, or time to answer has run out, and
    NotAllowedForAgent when a person opened it.
    """
    request = _own(request_id, agent)
    at = db_clock.now()
    if request.state != State.CHANGES_REQUESTED:
        raise WrongState(f"Nothing is waiting for an answer: this is {request.state}.")
    if request.answer_by is not None and request.answer_by <= at:
        raise WrongState("The time to answer has run out.")
    if not body.strip():
        raise InvalidProposal([FieldProblem("answer", "Must not be empty.")])
    actor = Actor.agent(agent)
    ThreadEntry.objects.create(
        request=request,
        actor_kind=ActorKind.AGENT,
        actor_name=agent.name,
        body=body,
        created_at=at,
    )
    void_approvals(request, at=at)
    items = store_supplied(request, evidence, at=at)
    if request.decide_by is not None and request.clock_stopped_at is not None:
        stopped_for = at - request.clock_stopped_at
        request.decide_by += stopped_for
        reminders.shift(request, stopped_for, at=at)
    request.clock_stopped_at = None
    request.answer_by = None
    move(
        request,
        request.answer,
        AuditCode.ANSWERED,
        actor=actor,
        data={"digests": [item.sha256 for item in items]},
    )
    notifications.answered(request)
    return request


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
    actor = Actor.agent(agent)
    revoke_grant(request, actor=actor, reason="withdrawn", at=db_clock.now())
    close_requirements(request)
    move(request, request.withdraw, AuditCode.WITHDRAWN, actor=actor, data={"reason": reason})
    compensation.end_undo(request)
    notifications.ended(request)
    return request


def _own(request_id: UUID, agent: Agent) -> ActionRequest:
    request = ActionRequest.objects.locked(request_id)
    if request.agent_id != agent.pk:
        raise NotFound("There is no such request of yours.")
    if request.requested_by_id is not None:
        raise NotAllowedForAgent(
            "A person opened this, not you: only people answer for it.", code="opened_by_person"
        )
    return request
