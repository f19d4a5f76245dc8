"""Break-glass: one person approves alone in an emergency, loudly, and is reviewed for it.

It takes the place of the people and the evidence a request still waits for, and of its change
window. It never takes the place of four-eyes, of policy's denial or of a pause. What is approved
that way is carried out within minutes or not at all.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from approvals.choices import DecisionVerdict, ReasonCode
from approvals.domain import dispatch, notifications
from approvals.domain.decision_context import (
    BreakGlassContext,
    demand_fresh_proof,
    demand_running_agent,
    lock_and_check,
    record_decision,
    refusals_recorded,
)
from approvals.domain.grants import issue_grant
from approvals.domain.routing import close_requirements
from approvals.domain.transitions import DEADLINES, Moves
from approvals.exceptions import AlreadyDecided, NotAuthorised, NotFound, ReasonRequired, WrongState
from approvals.models import ActionRequest, BreakGlass, Decision, PolicyDecision
from approvals.selectors.authority import people_decided, people_in, progress_of
from approvals.selectors.case import case_of
from approvals.selectors.evidence_gaps import evidence_gaps
from approvals.selectors.requests import decisions_of, policy_decision_of, reading_of
from approvals.selectors.review_snapshot import ReviewedSnapshot
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import Entry, record
from policies.authority import Refusal, may_break_glass, may_decide
from policies.models import Reauthentication, User
from policies.roles import BREAK_GLASS_REVIEWERS
from policies.services.evaluation import window_is_open
from policies.verdicts import RequirementSpec, Verdict

CARRIED_OUT_WITHIN = timedelta(minutes=15)
REVIEWED_WITHIN = timedelta(hours=24)
SHORTEST_REASON = 40
LONGEST_REASON = 2_000


@refusals_recorded(DecisionVerdict.BREAK_GLASS)
def break_glass(
    request_id: UUID, *, decider: User, reviewed: ReviewedSnapshot, reason: str, proof: int | None
) -> Decision:
    """Approve alone; everybody who should know is told, and somebody else reviews it in a day.

    `reason` has at least 40 characters; `proof` is the id of a Reauthentication no other decision
    rests on. Raises WrongState, StalePage, AlreadyDecided, NotAuthorised, Paused, ReasonRequired
    and StepUpRequired; then nothing has changed.
    """
    request, decider, shown, at = lock_and_check(request_id, decider, reviewed)
    case = replace(case_of(request, at=at), decided=people_decided(request))
    authority = may_break_glass(decider, case)
    if isinstance(authority, Refusal):
        raise NotAuthorised(authority.message, code=authority.code)
    policy = policy_decision_of(request)
    if policy is None or policy.verdict == Verdict.DENY:
        raise WrongState("Policy has not asked for people here; there is no emergency to approve.")
    demand_running_agent(request)
    reason = reason.strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise ReasonRequired(
            f"Write what the emergency is, in {SHORTEST_REASON} to {LONGEST_REASON} characters."
        )
    proven = _proof_of_its_own(decider, proof, at=at)
    overridden = _overridden(request, policy, at=at)
    moves, reading = Moves(request, at), reading_of(request)
    decision = record_decision(
        BreakGlassContext(request, decider, authority, policy, shown, moves),
        reviewed,
        DecisionVerdict.BREAK_GLASS,
        ReasonCode.OTHER,
        "",
        proof=proven,
    )
    until = at + CARRIED_OUT_WITHIN
    broken = BreakGlass.objects.create(
        request=request,
        decision=decision,
        person=decider.person,
        reason=reason,
        created_at=at,
        expires_at=until,
        review_due_at=at + REVIEWED_WITHIN,
    )
    actor = Actor.human(decider)
    data: JsonObject = {
        "broken_glass": broken.pk,
        "decision": decision.pk,
        "reason": reason,
        "expires_at": until.isoformat(),
        "review_due_at": broken.review_due_at.isoformat(),
        **overridden,
    }
    moves.also(Entry(AuditCode.BREAK_GLASS_USED, actor, request.state, data))
    request.execute_by = until
    close_requirements(request)
    moves.take(request.approve, AuditCode.APPROVED, actor, {"broken_glass": True})
    issue_grant(
        moves,
        reading,
        approvers=[decider.person],
        window="",  # an emergency does not wait for the change window; that is on record
        expires_at=until,
        actor=actor,
        is_break_glass=True,
    )
    moves.write()
    dispatch.execution_of(request.pk)
    notifications.break_glass_used(request)
    return decision


@transaction.atomic
def review(broken_id: int, *, reviewer: User, was_justified: bool, comment: str) -> BreakGlass:
    """Say whether the emergency was one; by somebody who decides and had no part in it. Once.

    Raises NotFound, AlreadyDecided, NotAuthorised and ReasonRequired.
    """
    request, broken = _locked(broken_id)
    reviewer = User.objects.get(pk=reviewer.pk)
    if broken.reviewed_at is not None:
        raise AlreadyDecided(f"{broken.reviewer} has reviewed this already.")
    refusal = why_no_reviewer(broken, reviewer)
    if refusal:
        raise NotAuthorised(refusal)
    if not comment.strip():
        raise ReasonRequired("Write what you found.")
    broken.reviewer, broken.reviewed_at = reviewer, db_clock.now()
    broken.was_justified, broken.review_comment = was_justified, comment.strip()
    broken.save(update_fields=["reviewer", "reviewed_at", "was_justified", "review_comment"])
    record(
        AuditCode.BREAK_GLASS_REVIEWED,
        actor=Actor.human(reviewer),
        subject=request,
        data={
            "broken_glass": broken.pk,
            "outcome": "justified" if was_justified else "not_justified",
            "comment": comment.strip(),
        },
    )
    if not was_justified:
        notifications.break_glass_not_justified(request)
    return broken


def why_no_reviewer(broken: BreakGlass, person: User) -> str:
    """Why this person does not review it, in a sentence; empty when they may."""
    if person.person in (broken.person, broken.decision.decider.person):
        return "You used break-glass, so somebody else reviews it."
    request = broken.request
    case = replace(case_of(request, at=broken.created_at), at=None, decided=_took_part(request))
    first, *others = BREAK_GLASS_REVIEWERS
    answer = may_decide(person, case, RequirementSpec(first, alternatives=tuple(others)))
    return answer.message if isinstance(answer, Refusal) else ""


@transaction.atomic
def note_overdue(broken_id: int) -> bool:
    """Nobody reviewed it in time: noted and told once. Says whether it was noted now."""
    request, broken = _locked(broken_id)
    at = db_clock.now()
    over = broken.reviewed_at is None and broken.review_due_at <= at
    if not over or broken.overdue_noted_at is not None:
        return False
    broken.overdue_noted_at = at
    broken.save(update_fields=["overdue_noted_at"])
    record(
        AuditCode.BREAK_GLASS_REVIEW_OVERDUE,
        actor=DEADLINES,
        subject=request,
        data={"broken_glass": broken.pk, "due_at": broken.review_due_at.isoformat()},
    )
    notifications.break_glass_review_overdue(request)
    return True


def _locked(broken_id: int) -> tuple[ActionRequest, BreakGlass]:
    """The request first: that is the order in which everybody locks."""
    found = BreakGlass.objects.filter(pk=broken_id).values_list("request_id", flat=True).first()
    if found is None:
        raise NotFound("There is no such break-glass approval.")
    request = ActionRequest.objects.locked(found)
    return request, BreakGlass.objects.select_for_update().get(pk=broken_id)


def _proof_of_its_own(decider: User, proof: int | None, *, at: datetime) -> Reauthentication:
    """Fresh, and given for this: a proof another decision rests on is not one."""
    proven = demand_fresh_proof(decider, proof, at=at)
    if Decision.objects.filter(authentication=proven).exists():
        return demand_fresh_proof(decider, None, at=at)
    return proven


def _overridden(request: ActionRequest, policy: PolicyDecision, *, at: datetime) -> JsonObject:
    """What it went past, for the record."""
    return {
        "missing_evidence": [gap.kind for gap in evidence_gaps(request, policy, at=at)],
        "still_needed": [one.spec.group for one in progress_of(request) if not one.met],
        "outside_window": "" if window_is_open(policy.window, at) else policy.window,
    }


def _took_part(request: ActionRequest) -> frozenset[str]:
    """Everybody who ever decided on it, whatever the version, and whose authority they used."""
    return people_in(decisions_of(request))
