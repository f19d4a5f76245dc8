"""Approving with edits: a new version of the action, judged afresh by policy and by others."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from approvals.choices import DecisionVerdict
from approvals.exceptions import FieldProblem, InvalidProposal
from approvals.models import ActionRequest, Decision, PolicyDecision, RequestContent
from approvals.selectors.requests import action_of
from approvals.selectors.shown import Seen
from approvals.services import assign, compensate, notify
from approvals.services.derive import Candidate, rederive
from approvals.services.evidence import carry_over, read_target, store_reading
from approvals.services.judge import judge_and_count
from approvals.services.moves import POLICY, move
from approvals.services.route import (
    alarm_empty_routes,
    case_for_all,
    close_requirements,
    create_requirements,
    keep_policy_decision,
)
from approvals.services.sitting import (
    demand_reason,
    demand_running_agent,
    keep_decision,
    refusals_recorded,
    sit_down,
)
from approvals.services.step_up import demand_proof
from audit.actors import Actor
from audit.canonical import JsonObject, canonical
from audit.events import AuditCode
from audit.services import record, save_with_history
from connectors.base import Preview
from policies.models import User
from policies.verdicts import RequirementSpec, Verdict


def approve_with_edits(
    request_id: UUID,
    *,
    decider: User,
    seen: Seen,
    params: JsonObject,
    reason_code: str,
    comment: str = "",
    proof: int | None = None,
) -> Decision:
    """Replace the params by edited ones, as the next version.

    Everything given so far is void: policy runs on the result, the target is read again, and
    the requirements start over. The editor had a hand in it and does not decide the new version.
    The limit is checked on the edited amount. Raises InvalidProposal with the bad fields, and
    everything `decide.approve` raises.
    """
    _may_edit(request_id, decider=decider, seen=seen, proof=proof)
    request = ActionRequest.objects.select_related("agent").get(pk=request_id)
    edited = rederive(request, params)
    if edited.digest == request.digest:
        raise InvalidProposal([FieldProblem("params", "Nothing was changed. Approve it instead.")])
    preview = read_target(edited.action)
    return _apply(
        request_id,
        decider=decider,
        seen=seen,
        edit=_Edit(edited, preview),
        reason_code=reason_code,
        comment=comment,
        proof=proof,
    )


@dataclass(frozen=True, slots=True)
class _Edit:
    candidate: Candidate
    preview: Preview


@refusals_recorded(DecisionVerdict.EDIT)
def _may_edit(request_id: UUID, *, decider: User, seen: Seen, proof: int | None) -> None:
    """Before anything is read for them: who could not decide makes us call nobody."""
    sitting = sit_down(request_id, decider, seen)
    demand_proof(sitting.request, decider, proof, at=sitting.at)


@refusals_recorded(DecisionVerdict.EDIT)
def _apply(
    request_id: UUID,
    *,
    decider: User,
    seen: Seen,
    edit: _Edit,
    reason_code: str,
    comment: str,
    proof: int | None,
) -> Decision:
    sitting = sit_down(request_id, decider, seen, amount=edit.candidate.amount)
    request, at = sitting.request, sitting.at
    demand_running_agent(request)
    demand_reason(reason_code, comment)
    before = action_of(request).params
    changed = sorted(
        k
        for k in {*before, *edit.candidate.params}
        if before.get(k) != edit.candidate.params.get(k)
    )
    edits = canonical({k: [before.get(k), edit.candidate.params.get(k)] for k in changed})
    proven = demand_proof(request, decider, proof, at=at)
    decision = keep_decision(
        sitting,
        decider,
        seen,
        DecisionVerdict.EDIT,
        reason_code,
        comment,
        edits=edits,
        proof=proven,
    )
    kept_specs = tuple(
        r.spec for r in request.requirements.filter(version=request.version).order_by("id")
    )
    close_requirements(request)
    carry_over(request, to_version=request.version + 1)
    _next_version(request, edit.candidate)
    RequestContent.objects.create(
        request=request,
        version=request.version,
        action=edit.candidate.canonical_action,
        digest=edit.candidate.digest,
        edited_by=decider,
        created_at=at,
    )
    store_reading(request, edit.preview, at=at)
    record(
        AuditCode.EDITED,
        actor=Actor.human(decider),
        subject=request,
        data={
            "fields": ", ".join(changed),
            "version": request.version,
            "digest": request.digest,
            "decision": decision.pk,
            "protected": sorted(edit.candidate.type.protected & set(changed)),
        },
    )
    judged = judge_and_count(request, edit.candidate, edit.preview, now=at)
    evaluation = judged.evaluation
    keep_policy_decision(
        request,
        judged.policy,
        evaluation,
        judged.facts,
        purpose=PolicyDecision.Purpose.EDIT,
        at=at,
    )
    request.risk_tier, request.verdict = evaluation.tier, evaluation.verdict.value
    request.updated_at = at
    if evaluation.verdict == Verdict.DENY:
        reasons = [r.reason for r in evaluation.matched if r.effect == Verdict.DENY]
        move(
            request,
            request.deny,
            AuditCode.DENIED,
            actor=POLICY,
            data={"reason": "; ".join(reasons)},
        )
        compensate.end_undo(request)
        notify.ended(request)
        return decision
    # An edit never removes people: where policy would now allow it, the old requirements stay.
    specs: tuple[RequirementSpec, ...] = evaluation.requirements or kept_specs
    requirements = create_requirements(request, specs)
    record(
        AuditCode.POLICY_RECHECKED,
        actor=POLICY,
        subject=request,
        data={
            "policy": evaluation.version,
            "verdict": evaluation.verdict.value,
            "tier": evaluation.tier,
            "matched": [rule.rule for rule in evaluation.matched],
        },
    )
    save_with_history(request, actor=Actor.human(decider), reason=AuditCode.EDITED.value)
    case = case_for_all(request, at=at)
    alarm_empty_routes(request, requirements, case=case, at=at)
    assign.suggest(request, requirements, case=case, at=at)
    notify.routed(request, requirements)
    return decision


def _next_version(request: ActionRequest, candidate: Candidate) -> None:
    amount = candidate.amount
    request.version += 1
    request.digest = candidate.digest
    request.business_key = candidate.business_key
    request.target = candidate.target
    request.counterparty = candidate.counterparty
    request.amount_minor = amount.minor if amount else None
    request.currency = amount.currency if amount else ""
    request.effect = candidate.effect
