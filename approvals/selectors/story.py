"""Everything the API and the webhooks say about a request, read in a fixed number of queries."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.urls import reverse

from approvals.models import ActionRequest, Decision, Execution, PolicyDecision, Requirement
from approvals.selectors.authority import COUNTED_WITH, approval_of
from approvals.selectors.case import amount_of
from policies.quorum import progress
from policies.verdicts import RequirementSpec


def with_story(requests: QuerySet[ActionRequest]) -> QuerySet[ActionRequest]:
    """The requests with all that `story_of` reads, whatever their number."""
    return requests.select_related("agent").prefetch_related(
        "requirements",
        Prefetch("decisions", Decision.objects.select_related(*COUNTED_WITH)),
        "executions__verifications",
        "policy_decisions__policy_version",
    )


def story_of(request: ActionRequest) -> dict[str, Any]:
    """The body agents get, from GET, long poll and webhook alike (PRODUCT.md section 6)."""
    execution = max(request.executions.all(), key=lambda e: e.pk, default=None)
    policy = max(
        (d for d in request.policy_decisions.all() if d.version == request.version),
        key=lambda d: d.pk,
        default=None,
    )
    return {
        "id": str(request.pk),
        "state": request.state,
        "action_type": request.action_type,
        "digest": request.digest,
        "version": request.version,
        "effect": request.effect,
        "target": request.target,
        "reversibility": request.reversibility,
        "risk_tier": request.risk_tier,
        "verdict": request.verdict or None,
        "requirements": _requirements(request),
        "policy": _policy(policy),
        "decide_by": _time(request.decide_by),
        "answer_by": _time(request.answer_by),
        "execute_by": _time(request.execute_by),
        "decisions": [_decision(d) for d in sorted(request.decisions.all(), key=lambda d: d.pk)],
        "execution": _execution(execution),
        "compensates": str(request.compensates_id) if request.compensates_id else None,
        "status_url": settings.BASE_URL + reverse("api:action", args=[request.pk]),
        "review_url": settings.BASE_URL + reverse("review", args=[request.pk]),
        "created_at": _time(request.created_at),
        "updated_at": _time(request.updated_at),
    }


def requirement_specs(specs: tuple[RequirementSpec, ...], minimum: str) -> list[dict[str, Any]]:
    """Requirements that nobody has answered yet, for the preflight."""
    return [
        {
            "group": spec.group,
            "quorum": spec.quorum,
            "minimum": minimum if spec.within_limit and minimum else None,
            "met": False,
        }
        for spec in specs
    ]


def _requirements(request: ActionRequest) -> list[dict[str, Any]]:
    current: list[Requirement] = sorted(
        (r for r in request.requirements.all() if r.version == request.version),
        key=lambda r: (r.stage, r.pk),
    )
    given = [
        approval_of(d)
        for d in request.decisions.all()
        if d.version == request.version and d.verdict == "approve" and d.requirement is not None
    ]
    amount = amount_of(request)
    minimum = f"{amount.decimal} {amount.currency}" if amount else None
    return [
        {
            "group": requirement.group,
            "quorum": requirement.quorum,
            "minimum": minimum if requirement.within_limit else None,
            "met": state.met,
        }
        for requirement, state in zip(
            current, progress([r.spec for r in current], given), strict=True
        )
    ]


def _policy(decision: PolicyDecision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    trace = json.loads(decision.trace)
    return {
        "version": trace["version"],
        "matched": [
            {"rule": rule["rule"], "reason": rule["reason"]}
            for rule in trace["rules"]
            if rule["matched"]
        ],
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "verdict": decision.verdict,
        "reason_code": decision.reason_code or None,
        "comment": decision.comment,
        "edits": json.loads(decision.edits) if decision.edits else None,
        "version": decision.version,
        "at": _time(decision.created_at),
    }


def _execution(execution: Execution | None) -> dict[str, Any] | None:
    if execution is None:
        return None
    verifications = list(execution.verifications.all())
    return {
        "state": execution.state,
        "receipt": execution.receipt_reference or None,
        "verified": max(verifications, key=lambda v: v.pk).matches if verifications else None,
    }


def _time(at: Any) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at is not None else None
