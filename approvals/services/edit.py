"""Approving with edits: a new version, checked afresh by policy and approved by others."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from approvals.choices import DecisionVerdict
from approvals.domain import compensation, notifications, reminders
from approvals.domain.decision_context import (
    begin_decision,
    demand_proof,
    demand_reason,
    demand_running_agent,
    record_decision,
    refusals_recorded,
)
from approvals.domain.derivation import Candidate, rederive
from approvals.domain.evidence import carry_over, store_reading
from approvals.domain.new_version import describe, route_to_people
from approvals.domain.policy_check import check_policy_and_count
from approvals.domain.routing import close_requirements, create_requirements, keep_policy_decision
from approvals.domain.target_reader import read_or_go_without
from approvals.domain.transitions import POLICY
from approvals.exceptions import FieldProblem, InvalidProposal
from approvals.models import ActionRequest, Decision, PolicyDecision, RequestContent
from approvals.selectors.requests import action_of
from approvals.selectors.review_snapshot import ReviewedSnapshot
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject, canonical
from audit.services import Entry
from connectors.base import Preview
from policies.models import User
from policies.verdicts import RequirementSpec, Verdict


def approve_with_edits(
    request_id: UUID,
    *,
    decider: User,
    reviewed: ReviewedSnapshot,
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
    _may_edit(request_id, decider=decider, reviewed=reviewed, proof=proof)
    request = ActionRequest.objects.select_related("agent").get(pk=request_id)
    edited = rederive(request, params)
    if edited.digest == request.digest:
        raise InvalidProposal([FieldProblem("params", "Nothing was changed. Approve it instead.")])
    preview = read_or_go_without(edited.action)
    return _apply(
        request_id,
        decider=decider,
        reviewed=reviewed,
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
def _may_edit(
    request_id: UUID, *, decider: User, reviewed: ReviewedSnapshot, proof: int | None
) -> None:
    """Before anything is read for them: who could not decide makes us call nobody."""
    context = begin_decision(request_id, decider, reviewed)
    demand_proof(context.request, decider, proof, at=context.at, policy=context.policy)


@refusals_recorded(DecisionVerdict.EDIT)
def _apply(
    request_id: UUID,
    *,
    decider: User,
    reviewed: ReviewedSnapshot,
    edit: _Edit,
    reason_code: str,
    comment: str,
    proof: int | None,
) -> Decision:
    context = begin_decision(request_id, decider, reviewed, amount=edit.candidate.amount)
    request, at = context.request, context.at
    demand_running_agent(request)
    demand_reason(reason_code, comment)
    before = action_of(request).params
    changed = sorted(
        k
        for k in {*before, *edit.candidate.params}
        if before.get(k) != edit.candidate.params.get(k)
    )
    edits = canonical({k: [before.get(k), edit.candidate.params.get(k)] for k in changed})
    proven = demand_proof(request, decider, proof, at=at, policy=context.policy)
    decision = record_decision(
        context,
        reviewed,
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
    request.version += 1
    describe(request, edit.candidate)
    RequestContent.objects.create(
        request=request,
        version=request.version,
        action=edit.candidate.canonical_action,
        digest=edit.candidate.digest,
        edited_by=decider,
        created_at=at,
    )
    store_reading(request, edit.preview, at=at)
    data: JsonObject = {
        "fields": list(changed),
        "version": request.version,
        "digest": request.digest,
        "decision": decision.pk,
        "protected": sorted(edit.candidate.type.protected & set(changed)),
    }
    editor = Actor.human(decider)
    context.moves.also(Entry(AuditCode.EDITED, editor, request.state, data))
    evaluated = check_policy_and_count(request, edit.candidate, edit.preview, now=at)
    evaluation = evaluated.evaluation
    stored = keep_policy_decision(
        request,
        evaluated.policy,
        evaluation,
        evaluated.facts,
        purpose=PolicyDecision.Purpose.EDIT,
        at=at,
    )
    request.risk_tier, request.verdict = evaluation.tier, evaluation.verdict.value
    request.updated_at = at
    if evaluation.verdict == Verdict.DENY:
        denial: JsonObject = {
            "reason": list(evaluation.denied_by),
            "policy": evaluation.version,
            "policy_decision": stored.pk,
        }
        context.moves.take(request.deny, AuditCode.DENIED, POLICY, denial)
        context.moves.write()
        compensation.end_undo(request)
        notifications.ended(request)
        return decision
    # An edit never removes people: where policy would now allow it, the old requirements stay.
    specs: tuple[RequirementSpec, ...] = evaluation.requirements or kept_specs
    requirements = create_requirements(request, specs)
    recheck: JsonObject = {
        "policy": evaluation.version,
        "policy_decision": stored.pk,
        "verdict": evaluation.verdict.value,
        "tier": evaluation.tier,
        "matched": [rule.rule for rule in evaluation.matched],
    }
    context.moves.also(Entry(AuditCode.POLICY_RECHECKED, POLICY, request.state, recheck))
    reminders.announced(request, at=at)
    context.moves.keep(AuditCode.EDITED, editor)
    context.moves.write()
    route_to_people(request, requirements, at=at)
    return decision
