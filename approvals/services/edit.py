"""Approving with edits: a new version, checked afresh by policy and approved by others.

Whoever edits is shown first what comes of it (`foresee_edit`), and only that is made of it.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
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
from approvals.domain.edited import Edited, edited, foreseen_digest
from approvals.domain.evidence import carry_over, new_reading, store_reading
from approvals.domain.fact_builder import evidence_held
from approvals.domain.new_version import describe, route_to_people
from approvals.domain.policy_check import check_policy_and_count, check_policy_of_edit
from approvals.domain.routing import (
    alarms_foreseen,
    close_requirements,
    concern_of,
    create_requirements,
    keep_policy_decision,
    new_policy_decision,
    new_requirements,
)
from approvals.domain.target_reader import read_or_go_without
from approvals.domain.transitions import POLICY
from approvals.exceptions import EditNotForeseen, FieldProblem, InvalidProposal
from approvals.models import ActionRequest, Decision, PolicyDecision, RequestContent, Requirement
from approvals.selectors.authority import case_for_all
from approvals.selectors.edits import FieldEdited, fields_changed
from approvals.selectors.evidence_gaps import Gap, case_gaps, together
from approvals.selectors.evidence_view import PolicyShown, Reading, reading_shown
from approvals.selectors.requests import action_of
from approvals.selectors.review_snapshot import ReviewedSnapshot
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject, canonical
from audit.services import Entry
from connectors.base import Preview
from policies.models import User
from policies.owners import resolved
from policies.verdicts import RequirementSpec, Verdict


@dataclass(frozen=True, slots=True)
class EditForeseen:
    """What would come of an edit, before anything does."""

    digest: str
    """What the editor's next form has to carry for this to be made of it."""
    effect: str
    fields: tuple[FieldEdited, ...]
    policy: PolicyShown
    reading: Reading | None
    asked: tuple[Requirement, ...]
    """Who would have to say yes, unsaved, each with why too few may, if so; none if denied."""
    gaps: tuple[Gap, ...]
    """What would keep them from it."""

    @property
    def is_denied(self) -> bool:
        return self.policy.verdict == Verdict.DENY

    @property
    def is_allowed(self) -> bool:
        """Whether policy alone would let it run; people are asked all the same."""
        return self.policy.verdict == Verdict.ALLOW


def foresee_edit(
    request_id: UUID,
    *,
    decider: User,
    reviewed: ReviewedSnapshot,
    params: JsonObject,
    reason_code: str,
    comment: str = "",
) -> EditForeseen:
    """What target and policy say of these params; nothing is stored but a refusal.

    Raises everything `approve_with_edits` raises, except that no proof is asked for a look.
    """
    _may_edit(request_id, decider=decider, reviewed=reviewed)
    return _foresee(
        request_id,
        decider=decider,
        reviewed=reviewed,
        edit=_read(request_id, params),
        reason_code=reason_code,
        comment=comment,
    )


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
    The limit is checked on the edited amount. Raises InvalidProposal with the bad fields,
    EditNotForeseen when this is not what the editor was shown (`foresee_edit`), and everything
    `decide.approve` raises.
    """
    _may_edit(request_id, decider=decider, reviewed=reviewed, proof=proof, is_sent=True)
    return _apply(
        request_id,
        decider=decider,
        reviewed=reviewed,
        edit=_read(request_id, params),
        reason_code=reason_code,
        comment=comment,
        proof=proof,
    )


@dataclass(frozen=True, slots=True)
class _Edit:
    candidate: Candidate
    preview: Preview


def _read(request_id: UUID, params: JsonObject) -> _Edit:
    """The edited action and its target as it is now. No transaction may be open."""
    request = ActionRequest.objects.select_related("agent").get(pk=request_id)
    candidate = rederive(request, params)
    if candidate.digest == request.digest:
        raise InvalidProposal([FieldProblem("params", "Nothing was changed. Approve it instead.")])
    return _Edit(candidate, read_or_go_without(candidate.action))


@refusals_recorded(DecisionVerdict.EDIT)
def _may_edit(
    request_id: UUID,
    *,
    decider: User,
    reviewed: ReviewedSnapshot,
    proof: int | None = None,
    is_sent: bool = False,
) -> None:
    """Before anything is read for them: who could not decide makes us call nobody."""
    context = begin_decision(request_id, decider, reviewed)
    if is_sent:
        demand_proof(context.request, decider, proof, at=context.at, policy=context.policy)


@refusals_recorded(DecisionVerdict.EDIT)
def _foresee(
    request_id: UUID,
    *,
    decider: User,
    reviewed: ReviewedSnapshot,
    edit: _Edit,
    reason_code: str,
    comment: str,
) -> EditForeseen:
    context = begin_decision(request_id, decider, reviewed, amount=edit.candidate.amount)
    request, at, candidate = context.request, context.at, edit.candidate
    demand_running_agent(request)
    demand_reason(reason_code, comment)
    said = check_policy_of_edit(request, candidate, edit.preview, now=at)
    foreseen = edited(candidate, edit.preview, said, before=_asked_now(request))
    next_version = copy(request)  # never saved
    next_version.version = request.version + 1
    describe(next_version, candidate)
    next_version.risk_tier = said.evaluation.tier
    decision = new_policy_decision(
        next_version,
        said.policy,
        said.evaluation,
        said.facts,
        purpose=PolicyDecision.Purpose.EDIT,
        at=at,
    )
    case = case_gaps(
        unavailable=edit.preview.unavailable,
        after=edit.preview.after,
        is_conflicting=said.facts.evidence.conflicting,
    )
    held = evidence_held(candidate, said.facts, now=at)
    is_denied = said.evaluation.verdict == Verdict.DENY
    return EditForeseen(
        digest=foreseen_digest(request, request.version, foreseen),
        effect=next_version.effect,
        fields=tuple(fields_changed(action_of(request).params, candidate.params)),
        policy=PolicyShown(decision),
        reading=reading_shown(new_reading(next_version, edit.preview, at=at)),
        asked=() if is_denied else _people_asked(next_version, foreseen, decider, at),
        gaps=() if is_denied else together(case, held.gaps(decision.evidence_demanded, at=at)),
    )


def _people_asked(
    next_version: ActionRequest, foreseen: Edited, editor: User, at: datetime
) -> tuple[Requirement, ...]:
    """The requirements of the edited version, unsaved; its editor counts for none of them."""
    case = case_for_all(next_version, at=at)
    case = replace(case, involved={**case.involved, editor.person: "the person who edited it"})
    asked = resolved(foreseen.asked, concern_of(next_version))
    requirements = new_requirements(next_version, foreseen.asked)
    for requirement, alarm in zip(requirements, alarms_foreseen(case, asked), strict=True):
        requirement.alarm = alarm
    return tuple(sorted(requirements, key=lambda one: one.stage))


def _asked_now(request: ActionRequest) -> tuple[RequirementSpec, ...]:
    current = request.requirements.filter(version=request.version).order_by("id")
    return tuple(requirement.spec for requirement in current)


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
    asked_before, version = _asked_now(request), request.version
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
    made = edited(edit.candidate, edit.preview, evaluated, before=asked_before)
    if foreseen_digest(request, version, made) != reviewed.foreseen:
        raise EditNotForeseen(
            "This is not what you were shown would come of it. Look again before you send it."
        )
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
    requirements = create_requirements(request, made.asked)
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
