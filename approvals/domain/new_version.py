"""A request's next version: sent back to people, or the same again with its approvals void.

Approvals count for the version they were given on. Whoever approved before looks again.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TypeVar

from django.db.models import Model

from approvals.choices import DecisionVerdict
from approvals.domain import assignment, notifications, reminders, usage
from approvals.domain.derivation import Candidate, as_defined_now, rederive
from approvals.domain.drift import ExecutionCheck
from approvals.domain.evidence import carry_over, store_reading
from approvals.domain.policy_check import NOBODY_ASKED_BEFORE, with_engine_rule
from approvals.domain.routing import (
    alarm_empty_routes,
    create_requirements,
    keep_policy_decision,
    open_again,
)
from approvals.domain.transitions import EXECUTOR, move
from approvals.exceptions import InvalidProposal
from approvals.models import ActionRequest, PolicyDecision, RequestContent, Requirement
from approvals.selectors.authority import case_for_all, progress_of
from approvals.selectors.requests import content_of, requirements_of
from audit.events import AuditCode
from audit.lib.canonical import digest
from connectors.base import Preview
from policies.verdicts import Verdict

logger = logging.getLogger(__name__)


def reopen(
    request: ActionRequest, check: ExecutionCheck, preview: Preview, *, at: datetime
) -> None:
    """Make the same action the next version, as the target is now, and route it again.

    A new version, because one person decides once per version: those who approved the old one
    may approve this one after looking again. The stored decision, and so the answer agents get,
    says why.
    """
    if check.drift is None:
        raise ValueError("Everything it was approved on still holds.")
    content = content_of(request)
    action = as_defined_now(content.action)
    specs = (
        check.evaluation.requirements
        or tuple(r.spec for r in requirements_of(request))
        or NOBODY_ASKED_BEFORE
    )
    evaluation = with_engine_rule(
        check.evaluation,
        "sent-back",
        Verdict.REQUIRE_APPROVAL,
        f"It was approved and goes back to people before execution. {check.drift.answer}",
        requirements=specs,
    )
    carry_over(request, to_version=request.version + 1)
    if action != content.action:
        _describe_anew(request)
        request.digest = digest(action)
    request.version += 1
    RequestContent.objects.create(
        request=request,
        version=request.version,
        action=action,
        digest=request.digest,
        edited_by=content.edited_by,
        created_at=at,
    )
    store_reading(request, preview, at=at)
    decision = keep_policy_decision(
        request,
        check.policy,
        evaluation,
        check.facts,
        purpose=PolicyDecision.Purpose.EXECUTION,
        at=at,
    )
    request.risk_tier = evaluation.tier
    request.verdict = evaluation.verdict.value
    request.decide_by = at + evaluation.deadlines.decide_by
    request.execute_by = None
    reminders.restart(request, at=at)
    requirements = create_requirements(request, specs)
    usage.no_longer_unseen(request)
    move(
        request,
        request.invalidate,
        AuditCode.INVALIDATED,
        actor=EXECUTOR,
        data={
            "reason": check.drift.for_people,
            "version": request.version,
            "policy": evaluation.version,
            "policy_decision": decision.pk,
            "groups": sorted({r.group for r in requirements}),
        },
    )
    route_to_people(request, requirements, at=at)


def _describe_anew(request: ActionRequest) -> None:
    """In the words of today's definition; one that takes these params no more leaves the old."""
    try:
        describe(request, rederive(request))
    except InvalidProposal:
        logger.warning("params no longer fit", extra={"action_id": str(request.pk)})


def describe(request: ActionRequest, candidate: Candidate) -> None:
    """Let the columns people look at say what the candidate says. The caller saves the request."""
    amount = candidate.amount
    request.digest = candidate.digest
    request.business_key = candidate.business_key
    request.target = candidate.target
    request.counterparty = candidate.counterparty
    request.amount_minor = amount.minor if amount else None
    request.currency = amount.currency if amount else ""
    request.effect = candidate.effect


def route_to_people(
    request: ActionRequest, requirements: list[Requirement], *, at: datetime
) -> None:
    """Find who may meet these requirements, raise the alarm where nobody may, suggest and tell.

    What somebody has answered already is nobody's any more, and what somebody has taken stays
    theirs.
    """
    case = case_for_all(request, at=at)
    alarm_empty_routes(request, requirements, case=case, at=at)
    states = zip(requirements, progress_of(request), strict=True)
    waiting = [requirement for requirement, state in states if not state.met]
    free = [requirement for requirement in waiting if requirement.assignee_id is None]
    assignment.suggest(request, free, case=case, at=at)
    notifications.routed(request, waiting, case=case, at=at)


M = TypeVar("M", bound=Model)


def void_approvals(request: ActionRequest, *, at: datetime) -> None:
    """Make the next version if somebody has approved this one. The caller saves the request.

    Content, reading, evidence, policy decision and requirements are the same, under the new
    version; the requirements are open again, escalated as far as they were.
    """
    version = request.version
    given = request.decisions.filter(version=version, verdict=DecisionVerdict.APPROVE)
    if not given.exists():
        return
    old = list(request.requirements.filter(version=version).order_by("id"))
    request.requirements.filter(is_open=True).update(is_open=False)
    request.version = version + 1
    for row in (
        request.contents.get(version=version),
        *request.readings.filter(version=version).order_by("id"),
        *request.evidence.filter(version=version).order_by("position"),
        *request.policy_decisions.filter(version=version).order_by("id"),
    ):
        _copy(row, version=request.version)
    new = open_again(request, old)
    for before, after in zip(old, new, strict=True):
        if before.escalated_to:
            after.escalated_to = before.escalated_to
            after.save(update_fields=["escalated_to"])


def _copy(row: M, *, version: int) -> None:
    row.pk = None
    row._state.adding = True
    row.version = version  # type: ignore[attr-defined]
    row.save(force_insert=True)
