"""One person's verdict: approve, reject, ask, escalate. The five beats, five times."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from approvals.choices import (
    DecisionVerdict,
    EscalationStep,
)
from approvals.exceptions import (
    EvidenceMissing,
    ReasonRequired,
    WrongState,
)
from approvals.models import (
    ActionRequest,
    Decision,
    Escalation,
    ThreadEntry,
)
from approvals.selectors.authority import is_settled, missing_evidence
from approvals.selectors.shown import Seen
from approvals.services import assign, compensate, dispatch, loops, notify
from approvals.services.grants import issue_grant
from approvals.services.moves import move
from approvals.services.route import close_requirements, operating_model_of
from approvals.services.sitting import (
    demand_reason,
    demand_running_agent,
    keep_decision,
    refusals_recorded,
    sit_down,
)
from approvals.services.step_up import demand_proof
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.services import record
from policies.models import User

ANSWER_WITHIN = timedelta(hours=24)
"""How long an agent has to answer a reviewer."""


@refusals_recorded(DecisionVerdict.APPROVE)
def approve(
    request_id: UUID,
    *,
    decider: User,
    seen: Seen,
    reason_code: str = "",
    comment: str = "",
    proof: int | None = None,
) -> Decision:
    """Record one approval; the last one needed moves the request to approved.

    `proof` is the id of a Reauthentication of the decider, for tiers 4 and 5. Raises WrongState,
    StalePage, AlreadyDecided, NotAuthorised, Paused, EvidenceMissing, ReasonRequired and
    StepUpRequired; then nothing has changed.
    """
    sitting = sit_down(request_id, decider, seen)
    request = sitting.request
    demand_running_agent(request)
    missing = missing_evidence(request, sitting.policy, at=sitting.at)
    if missing:
        raise EvidenceMissing(f"Cannot be approved: {', '.join(missing)} missing or stale.")
    if request.effective_tier >= 3 or sitting.policy.reason_required:
        demand_reason(reason_code, comment)
    proven = demand_proof(request, decider, proof, at=sitting.at)
    decision = keep_decision(
        sitting, decider, seen, DecisionVerdict.APPROVE, reason_code, comment, proof=proven
    )
    if is_settled(request):
        request.execute_by = sitting.at + sitting.policy.execute_within
        close_requirements(request)
        move(request, request.approve, AuditCode.APPROVED, actor=Actor.human(decider))
        issue_grant(
            request,
            approvers=_approvers(request),
            window=sitting.policy.window,
            expires_at=request.execute_by,
            actor=Actor.human(decider),
            at=sitting.at,
            operating_model=operating_model_of(sitting.policy),
        )
        dispatch.execution_of(request.pk)
        notify.approved(request)
    else:
        assign.answered(request, sitting.requirement, by=decider, at=sitting.at)
    return decision


@refusals_recorded(DecisionVerdict.REJECT)
def reject(
    request_id: UUID, *, decider: User, seen: Seen, reason_code: str, comment: str = ""
) -> Decision:
    """Say no. One authorised no ends the request; the agent learns the reason."""
    sitting = sit_down(request_id, decider, seen, needs_limit=False)
    demand_reason(reason_code, comment)
    decision = keep_decision(sitting, decider, seen, DecisionVerdict.REJECT, reason_code, comment)
    close_requirements(sitting.request)
    loops.hold_agent(sitting.request)
    move(
        sitting.request,
        sitting.request.reject,
        AuditCode.REJECTED,
        actor=Actor.human(decider),
        data={"reason_code": reason_code, "decision": decision.pk},
    )
    compensate.end_undo(sitting.request)
    notify.ended(sitting.request)
    loops.pause_if_looping(sitting.request, at=sitting.at)
    return decision


@refusals_recorded(DecisionVerdict.REQUEST_CHANGES)
def request_changes(request_id: UUID, *, decider: User, seen: Seen, question: str) -> Decision:
    """Ask the agent. The reviewers' clock stops; the agent's runs until it answers.

    Raises WrongState for what a person opened: no agent answers for that.
    """
    sitting = sit_down(request_id, decider, seen, needs_limit=False)
    request = sitting.request
    if request.requested_by is not None:
        asker = request.requested_by.get_username()
        raise WrongState(
            f"{asker} opened this, not the agent. Ask them directly; reject it if it is wrong.",
            code="opened_by_person",
        )
    if not question.strip():
        raise ReasonRequired("Write what you want the agent to answer or change.")
    decision = keep_decision(sitting, decider, seen, DecisionVerdict.REQUEST_CHANGES, "", question)
    ThreadEntry.objects.create(
        request=request,
        actor_kind=ActorKind.HUMAN,
        actor_name=decider.get_username(),
        body=question,
        created_at=sitting.at,
    )
    request.answer_by = sitting.at + ANSWER_WITHIN
    request.clock_stopped_at = sitting.at
    move(
        request,
        request.ask,
        AuditCode.CHANGES_REQUESTED,
        actor=Actor.human(decider),
        data={"decision": decision.pk},
    )
    notify.asked(request)
    return decision


@refusals_recorded(DecisionVerdict.ESCALATE)
def escalate(request_id: UUID, *, decider: User, seen: Seen, reason: str) -> Decision:
    """Hand one's own requirement upwards: the next level may answer it too."""
    sitting = sit_down(request_id, decider, seen, needs_limit=False)
    request, requirement = sitting.request, sitting.requirement
    if not reason.strip():
        raise ReasonRequired("Write why somebody else should decide this.")
    if requirement.escalated_to:
        raise WrongState(f"This has been escalated to {requirement.escalated_to} already.")
    decision = keep_decision(sitting, decider, seen, DecisionVerdict.ESCALATE, "", reason)
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
        due_at=sitting.at,
        created_at=sitting.at,
    )
    record(
        AuditCode.ESCALATED,
        actor=Actor.human(decider),
        subject=request,
        data={
            "from": requirement.group,
            "to": requirement.escalates_to,
            "reason": "asked by a reviewer",
            "decision": decision.pk,
        },
    )
    notify.escalated(request, requirement)
    return decision


def _approvers(request: ActionRequest) -> list[str]:
    approvals = request.decisions.filter(version=request.version, verdict=DecisionVerdict.APPROVE)
    return sorted(approvals.values_list("person", flat=True))
