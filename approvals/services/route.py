"""Routing: turning what policy requires into requirements, clocks and somebody's inbox."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from approvals.choices import EscalationStep
from approvals.models import ActionRequest, Escalation, PolicyDecision, Requirement
from approvals.selectors.case import approved_today_by_person, case_of
from approvals.services.moves import POLICY
from audit.canonical import JsonObject, canonical
from audit.events import AuditCode
from audit.services import record
from policies.authority import deciders_for
from policies.facts import Facts
from policies.models import PolicyVersion
from policies.verdicts import Evaluation, RequirementSpec


def keep_policy_decision(
    request: ActionRequest,
    policy: PolicyVersion | None,
    evaluation: Evaluation,
    facts: Facts,
    *,
    purpose: PolicyDecision.Purpose,
    at: datetime,
) -> PolicyDecision:
    """Store what policy said, on which facts and why, beside the request."""
    return PolicyDecision.objects.create(
        request=request,
        version=request.version,
        purpose=purpose,
        policy_version=policy,
        verdict=evaluation.verdict.value,
        tier=evaluation.tier,
        reason_required=evaluation.reason_required,
        window=evaluation.window,
        evidence_required=list(evaluation.evidence_required),
        decide_within=evaluation.clocks.decide_by,
        execute_within=evaluation.clocks.execute_by,
        facts=canonical(facts.flat()),
        trace=canonical(_trace(evaluation)),
        created_at=at,
    )


def create_requirements(
    request: ActionRequest, specs: tuple[RequirementSpec, ...]
) -> list[Requirement]:
    """Open one requirement per spec, for the current version."""
    return Requirement.objects.bulk_create(
        Requirement(
            request=request,
            version=request.version,
            group=spec.group,
            quorum=spec.quorum,
            stage=spec.stage,
            within_limit=spec.within_limit,
            escalates_to=spec.escalates_to,
        )
        for spec in specs
    )


def alarm_empty_routes(
    request: ActionRequest, requirements: list[Requirement], *, at: datetime
) -> None:
    """A requirement with too few people who may meet it is escalated at once, and on record."""
    spent = approved_today_by_person(request.currency, now=at, excluding=request)
    case = replace(case_of(request, at=at), spent_today=lambda user: spent.get(user.person, 0))
    for requirement in requirements:
        # people, not accounts: two accounts of one person are one
        people = {user.person for user in deciders_for(case, requirement.spec)}
        if len(people) >= requirement.quorum:
            continue
        requirement.escalated_to = requirement.escalates_to
        requirement.save(update_fields=["escalated_to"])
        Escalation.objects.create(
            request=request,
            version=request.version,
            step=EscalationStep.NOBODY,
            requirement=requirement,
            from_group=requirement.group,
            to_group=requirement.escalates_to,
            reason="Too few people in the group may decide this.",
            due_at=at,
            created_at=at,
        )
        record(
            AuditCode.ROUTE_EMPTY,
            actor=POLICY,
            subject=request,
            data={"group": requirement.group, "fallback": requirement.escalates_to},
        )


def close_requirements(request: ActionRequest) -> None:
    """Take the request out of every inbox."""
    request.requirements.filter(is_open=True).update(is_open=False)


def _trace(evaluation: Evaluation) -> JsonObject:
    return {
        "version": evaluation.version,
        "rules": [
            {
                "rule": rule.rule,
                "owner": rule.owner,
                "reason": rule.reason,
                "effect": rule.effect.value,
                "matched": rule.matched,
                "clauses": [
                    {"text": clause.text, "outcome": clause.outcome, "detail": clause.detail}
                    for clause in rule.clauses
                ],
            }
            for rule in evaluation.trace
        ],
    }
