"""One person's verdict: approve, reject, ask, escalate, abstain. The five beats, each time."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from approvals.choices import DecisionVerdict, EscalationStep
from approvals.domain import (
    assignment,
    auto_pause,
    compensation,
    dispatch,
    notifications,
    reminders,
)
from approvals.domain.decision_context import (
    begin_decision,
    demand_facts,
    demand_proof,
    demand_reason,
    record_decision,
    refusals_recorded,
)
from approvals.domain.grants import issue_grant
from approvals.domain.routing import close_requirements, closing_of, operating_model_of, recall_of
from approvals.exceptions import EvidenceMissing, ReasonRequired, WrongState
from approvals.models import Decision, Escalation, ThreadEntry
from approvals.selectors.authority import given_approvals, is_settled
from approvals.selectors.evidence_gaps import evidence_gaps
from approvals.selectors.requests import is_asked, reading_of, requirements_of
from approvals.selectors.review_snapshot import ReviewedSnapshot
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.services import Entry
from policies.models import User

ANSWER_WITHIN = timedelta(hours=24)
"""How long an agent has to answer a reviewer."""


@refusals_recorded(DecisionVerdict.APPROVE)
def approve(
    request_id: UUID,
    *,
    decider: User,
    reviewed: ReviewedSnapshot,
    reason_code: str = "",
    comment: str = "",
    proof: int | None = None,
    as_step: bool = False,
) -> Decision:
    """Record one approval; the last one needed moves the request to approved.

    `as_step`: it is a step of the plan that is being approved; by itself none is.

    `proof` is the id of a Reauthentication of the decider, for tiers 4 and 5. Raises WrongState,
    StalePage, AlreadyDecided, NotAuthorised, Paused, EvidenceMissing, ReasonRequired,
    FactsNotConfirmed and StepUpRequired; then nothing has changed.
    """
    context = begin_decision(request_id, decider, reviewed, as_step=as_step, approving=True)
    request = context.request
    gaps = evidence_gaps(request, context.policy, at=context.at)
    if gaps:
        raise EvidenceMissing(f"Cannot be approved. {' '.join(gap.sentence for gap in gaps)}")
    if is_asked(request, "reason_required", policy=context.policy):
        demand_reason(reason_code, comment)
    if not as_step:
        demand_facts(request, context.policy, reviewed)
    proven = demand_proof(request, decider, proof, at=context.at, policy=context.policy)
    required, reading = requirements_of(request), reading_of(request)
    given = given_approvals(request)
    decision = record_decision(
        context,
        reviewed,
        DecisionVerdict.APPROVE,
        reason_code,
        comment,
        proof=proven,
        is_written_with_moves=True,
    )
    given.append(decision)
    if is_settled(required, given):
        recall_for = timedelta(0) if as_step else recall_of(context.policy)
        # what may be recalled is carried out after that, and has its whole time then
        request.execute_by = context.at + recall_for + context.policy.execute_within
        context.moves.together(closing_of(request))
        context.moves.take(request.approve, AuditCode.APPROVED, Actor.human(decider))
        issue_grant(
            context.moves,
            reading,
            approvers=sorted(one.person for one in given),
            window=context.policy.window,
            expires_at=request.execute_by,
            actor=Actor.human(decider),
            operating_model=operating_model_of(context.policy),
            recall_for=recall_for,
        )
        notifications.approved(context.moves)
        context.moves.write()
        dispatch.execution_of(request.pk)
    else:
        context.moves.write()
        assignment.answered(request, context.requirement, by=decider, at=context.at)
        reminders.look_again(request, at=context.at)
        reminders.save(request)
    return decision


@refusals_recorded(DecisionVerdict.REJECT)
def reject(
    request_id: UUID,
    *,
    decider: User,
    reviewed: ReviewedSnapshot,
    reason_code: str,
    comment: str = "",
    as_step: bool = False,
) -> Decision:
    """Say no. One authorised no ends the request; the agent learns the reason."""
    context = begin_decision(request_id, decider, reviewed, needs_limit=False, as_step=as_step)
    demand_reason(reason_code, comment)
    decision = record_decision(context, reviewed, DecisionVerdict.REJECT, reason_code, comment)
    close_requirements(context.request)
    auto_pause.lock_agent(context.request)
    context.moves.take(
        context.request.reject,
        AuditCode.REJECTED,
        Actor.human(decider),
        {"reason_code": reason_code, "decision": decision.pk},
    )
    context.moves.write()
    compensation.end_undo(context.request)
    notifications.ended(context.request)
    auto_pause.pause_if_looping(context.request, at=context.at)
    return decision


@refusals_recorded(DecisionVerdict.REQUEST_CHANGES)
def request_changes(
    request_id: UUID, *, decider: User, reviewed: ReviewedSnapshot, question: str
) -> Decision:
    """Ask the agent. The reviewers' clock stops; the agent's runs until it answers.

    Raises WrongState for what a person opened: no agent answers for that.
    """
    context = begin_decision(request_id, decider, reviewed, needs_limit=False)
    request = context.request
    if request.requested_by is not None:
        asker = request.requested_by.get_username()
        raise WrongState(
            f"{asker} opened this, not the agent. Ask them directly; reject it if it is wrong.",
            code="opened_by_person",
        )
    if not question.strip():
        raise ReasonRequired("Write what you want the agent to answer or change.")
    decision = record_decision(context, reviewed, DecisionVerdict.REQUEST_CHANGES, "", question)
    ThreadEntry.objects.create(
        request=request,
        actor_kind=ActorKind.HUMAN,
        actor_name=decider.get_username(),
        body=question,
        created_at=context.at,
    )
    request.answer_by = context.at + ANSWER_WITHIN
    request.clock_stopped_at = context.at
    context.moves.take(
        request.ask,
        AuditCode.CHANGES_REQUESTED,
        Actor.human(decider),
        {"decision": decision.pk},
    )
    context.moves.write()
    notifications.asked(request)
    return decision


@refusals_recorded(DecisionVerdict.ESCALATE)
def escalate(
    request_id: UUID, *, decider: User, reviewed: ReviewedSnapshot, reason: str
) -> Decision:
    """Hand one's own requirement upwards: the next level may answer it too."""
    context = begin_decision(request_id, decider, reviewed, needs_limit=False, as_step=True)
    request, requirement = context.request, context.requirement
    if not reason.strip():
        raise ReasonRequired("Write why somebody else should decide this.")
    if requirement.escalated_to:
        raise WrongState(f"This has been escalated to {requirement.escalated_to} already.")
    decision = record_decision(context, reviewed, DecisionVerdict.ESCALATE, "", reason)
    requirement.escalated_to = requirement.escalates_to
    requirement.save(update_fields=["escalated_to"])
    Escalation.objects.create(
        request=request,
        version=request.version,
        round=request.escalations.filter(requirement=requirement).count() + 1,
        step=EscalationStep.MANUAL,
        requirement=requirement,
        from_group=requirement.group,
        to_group=requirement.escalates_to,
        by=decider,
        reason=reason[:500],
        due_at=context.at,
        created_at=context.at,
    )
    data: JsonObject = {
        "from": requirement.group,
        "to": requirement.escalates_to,
        "reason": "reviewer",
        "decision": decision.pk,
    }
    context.moves.also(Entry(AuditCode.ESCALATED, Actor.human(decider), request.state, data))
    context.moves.write()
    notifications.escalated(request, requirement)
    return decision
