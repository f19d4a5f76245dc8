"""One person's verdict: approve, reject, ask, escalate. The five beats, five times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from django.db import transaction

from approvals.choices import (
    FINAL_VERDICTS,
    DecisionVerdict,
    EscalationStep,
    ReasonCode,
    State,
)
from approvals.exceptions import (
    AlreadyDecided,
    EvidenceMissing,
    NotAuthorised,
    ReasonRequired,
    StalePage,
    WrongState,
)
from approvals.models import (
    ActionRequest,
    Decision,
    Escalation,
    PolicyDecision,
    Requirement,
    ShownContent,
    ThreadEntry,
)
from approvals.selectors import clock
from approvals.selectors.authority import grounds_for, is_settled, missing_evidence
from approvals.selectors.requests import policy_decision_of
from approvals.selectors.shown import Seen, shown_content
from approvals.services import dispatch, notify
from approvals.services.grants import issue_grant
from approvals.services.moves import move
from approvals.services.route import close_requirements
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.money import Money
from audit.services import record
from policies.authority import Authority
from policies.models import User

P = ParamSpec("P")

ANSWER_WITHIN = timedelta(hours=24)
"""How long an agent has to answer a reviewer."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """One authorised person before one locked, current request."""

    request: ActionRequest
    requirement: Requirement
    authority: Authority
    policy: PolicyDecision
    at: datetime


def refusals_recorded(
    service: Callable[Concatenate[UUID, P], Decision],
) -> Callable[Concatenate[UUID, P], Decision]:
    """Keep a refused attempt in the trail, although its own transaction is gone."""

    @wraps(service)
    def recording(request_id: UUID, /, *args: P.args, **kwargs: P.kwargs) -> Decision:
        try:
            with transaction.atomic():
                return service(request_id, *args, **kwargs)
        except NotAuthorised as refusal:
            decider = kwargs["decider"]
            assert isinstance(decider, User)  # noqa: S101 - narrows for the type checker
            with transaction.atomic():
                request = ActionRequest.objects.locked(request_id)
                record(
                    AuditCode.DECISION_REFUSED,
                    actor=Actor.human(decider),
                    subject=request,
                    data={"reason": refusal.code, "attempted": service.__name__},
                )
            raise

    return recording


@refusals_recorded
def approve(
    request_id: UUID, *, decider: User, seen: Seen, reason_code: str = "", comment: str = ""
) -> Decision:
    """Record one approval; the last one needed moves the request to approved.

    Raises WrongState, StalePage, AlreadyDecided, NotAuthorised, EvidenceMissing and
    ReasonRequired; then nothing has changed.
    """
    sitting = sit_down(request_id, decider, seen)
    request = sitting.request
    missing = missing_evidence(request, sitting.policy, at=sitting.at)
    if missing:
        raise EvidenceMissing(f"Cannot be approved: {', '.join(missing)} missing or stale.")
    if _tier(request) >= 3 or sitting.policy.reason_required:
        demand_reason(reason_code, comment)
    decision = keep_decision(sitting, decider, seen, DecisionVerdict.APPROVE, reason_code, comment)
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
        )
        dispatch.execution_of(request.pk)
        notify.approved(request)
    return decision


@refusals_recorded
def reject(
    request_id: UUID, *, decider: User, seen: Seen, reason_code: str, comment: str = ""
) -> Decision:
    """Say no. One authorised no ends the request; the agent learns the reason."""
    sitting = sit_down(request_id, decider, seen, needs_limit=False)
    demand_reason(reason_code, comment)
    decision = keep_decision(sitting, decider, seen, DecisionVerdict.REJECT, reason_code, comment)
    close_requirements(sitting.request)
    move(
        sitting.request,
        sitting.request.reject,
        AuditCode.REJECTED,
        actor=Actor.human(decider),
        data={"reason_code": reason_code, "decision": decision.pk},
    )
    notify.ended(sitting.request)
    return decision


@refusals_recorded
def request_changes(request_id: UUID, *, decider: User, seen: Seen, question: str) -> Decision:
    """Ask the agent. The reviewers' clock stops; the agent's runs until it answers."""
    sitting = sit_down(request_id, decider, seen, needs_limit=False)
    request = sitting.request
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


@refusals_recorded
def escalate(request_id: UUID, *, decider: User, seen: Seen, reason: str) -> Decision:
    """Hand one's own requirement upwards: the next level may answer it too."""
    sitting = sit_down(request_id, decider, seen, needs_limit=False)
    request, requirement = sitting.request, sitting.requirement
    if not reason.strip():
        raise ReasonRequired("Write why somebody else should decide this.")
    if requirement.escalated_to == requirement.escalates_to:
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


def sit_down(
    request_id: UUID,
    decider: User,
    seen: Seen,
    *,
    needs_limit: bool = True,
    amount: Money | None = None,
) -> Sitting:
    """Lock, then look: state, page, person, in that order.

    `amount` is the amount an edit leads to: the person must have authority over that as well.
    """
    request = ActionRequest.objects.locked(request_id)
    # the account as it is now, not as it was when the session began
    decider = User.objects.get(pk=decider.pk)
    at = clock.now()
    if request.state != State.PENDING_APPROVAL:
        raise WrongState(_moved_on(request))
    if seen.request_id != request.pk or seen.user_id != decider.pk:
        raise StalePage("This form belongs to another page. Reload it and look again.")
    if Decision.objects.filter(nonce=seen.nonce).exists():
        raise AlreadyDecided("This page has been used already. Your first answer counts.")
    if _has_decided(request, decider):
        raise AlreadyDecided("You have decided on this already. One person counts once.")
    if request.decide_by is not None and request.decide_by <= at:
        raise WrongState("The time to decide this has run out.")
    if seen.version != request.version or seen.shown_digest != shown_content(request).digest:
        raise StalePage("This has changed since you opened it. Reload it and look again.")
    requirement, authority = grounds_for(
        decider, request, needs_limit=needs_limit, at=at, amount=amount
    )
    policy = policy_decision_of(request)
    if policy is None:
        raise WrongState("This request has no policy decision; it cannot be decided.")
    return Sitting(request, requirement, authority, policy, at)


def keep_decision(
    sitting: Sitting,
    decider: User,
    seen: Seen,
    verdict: DecisionVerdict,
    reason_code: str,
    comment: str,
    edits: str = "",
) -> Decision:
    request, authority = sitting.request, sitting.authority
    shown = shown_content(request)
    ShownContent.objects.get_or_create(
        digest=shown.digest, defaults={"body": shown.body, "created_at": sitting.at}
    )
    decision = Decision.objects.create(
        request=request,
        version=request.version,
        requirement=sitting.requirement,
        decider=decider,
        person=decider.person,
        group=authority.group,
        verdict=verdict,
        reason_code=reason_code,
        comment=comment,
        edits=edits,
        limit_minor=authority.limit_minor,
        amount_minor=request.amount_minor,
        currency=request.currency,
        digest=request.digest,
        shown_id=shown.digest,
        nonce=seen.nonce,
        opened_at=seen.opened_at,
        created_at=sitting.at,
    )
    record(
        AuditCode.DECISION_RECORDED,
        actor=Actor.human(decider),
        subject=request,
        data={
            "decision": decision.pk,
            "verdict": verdict.value,
            "group": authority.group,
            "person": decider.person,
            "limit_minor": authority.limit_minor,
            "digest": request.digest,
            "shown": shown.digest,
            "reason_code": reason_code,
            "opened_at": seen.opened_at.isoformat(),
        },
    )
    return decision


def _has_decided(request: ActionRequest, decider: User) -> bool:
    return request.decisions.filter(
        version=request.version, person=decider.person, verdict__in=FINAL_VERDICTS
    ).exists()


def _moved_on(request: ActionRequest) -> str:
    last = request.decisions.order_by("-id").first()
    if last is not None and last.verdict in FINAL_VERDICTS:
        when = f"{last.created_at:%Y-%m-%d %H:%M} UTC"
        return f"This is {request.get_state_display()} now: {last.person} decided at {when}."
    return f"This is {request.get_state_display()} now; there is nothing left to decide."


def demand_reason(reason_code: str, comment: str) -> None:
    if reason_code not in ReasonCode.values:
        raise ReasonRequired("Choose a reason from the list.")
    if reason_code == ReasonCode.OTHER and not comment.strip():
        raise ReasonRequired('"Other" needs a sentence that says what.')


def _tier(request: ActionRequest) -> int:
    return 5 if request.risk_tier is None else request.risk_tier


def _approvers(request: ActionRequest) -> list[str]:
    approvals = request.decisions.filter(version=request.version, verdict=DecisionVerdict.APPROVE)
    return sorted(approvals.values_list("person", flat=True))
