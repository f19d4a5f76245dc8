"""Sending an approved request back to people: old approvals are void, the clock starts over."""

from __future__ import annotations

from datetime import datetime

from approvals.models import ActionRequest, PolicyDecision, RequestContent
from approvals.selectors.requests import content_of, requirements_of
from approvals.services import assign, notify, velocity
from approvals.services.drift import Judgement
from approvals.services.evidence import carry_over, store_reading
from approvals.services.judge import NOBODY_ASKED_BEFORE, with_engine_rule
from approvals.services.moves import EXECUTOR, move
from approvals.services.route import (
    alarm_empty_routes,
    case_for_all,
    create_requirements,
    keep_policy_decision,
)
from audit.events import AuditCode
from connectors.base import Preview
from policies.verdicts import Verdict


def reopen(request: ActionRequest, judgement: Judgement, preview: Preview, *, at: datetime) -> None:
    """Make the same action the next version, as the target is now, and route it again.

    A new version, because one person decides once per version: those who approved the old one
    may approve this one after looking again. The stored decision, and so the answer agents get,
    says why.
    """
    if judgement.drift is None:
        raise ValueError("Everything it was approved on still holds.")
    content = content_of(request)
    specs = (
        judgement.evaluation.requirements
        or tuple(r.spec for r in requirements_of(request))
        or NOBODY_ASKED_BEFORE
    )
    evaluation = with_engine_rule(
        judgement.evaluation,
        "sent-back",
        Verdict.REQUIRE_APPROVAL,
        f"It was approved and goes back to people before execution. {judgement.drift.answer}",
        requirements=specs,
    )
    carry_over(request, to_version=request.version + 1)
    request.version += 1
    RequestContent.objects.create(
        request=request,
        version=request.version,
        action=content.action,
        digest=content.digest,
        edited_by=content.edited_by,
        created_at=at,
    )
    store_reading(request, preview, at=at)
    keep_policy_decision(
        request,
        judgement.policy,
        evaluation,
        judgement.facts,
        purpose=PolicyDecision.Purpose.EXECUTION,
        at=at,
    )
    request.risk_tier = evaluation.tier
    request.verdict = evaluation.verdict.value
    request.decide_by = at + evaluation.clocks.decide_by
    request.execute_by = None
    request.clock_started_at = at
    request.clock_round += 1
    requirements = create_requirements(request, specs)
    velocity.no_longer_unseen(request)
    move(
        request,
        request.invalidate,
        AuditCode.INVALIDATED,
        actor=EXECUTOR,
        data={
            "reason": judgement.drift.for_people,
            "version": request.version,
            "groups": ", ".join(sorted({r.group for r in requirements})),
        },
    )
    case = case_for_all(request, at=at)
    alarm_empty_routes(request, requirements, case=case, at=at)
    assign.suggest(request, requirements, case=case, at=at)
    notify.routed(request, requirements)
