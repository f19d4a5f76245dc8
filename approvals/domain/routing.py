"""Routing: turning what policy requires into requirements, clocks and somebody's inbox."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from approvals.choices import EscalationStep
from approvals.domain import notifications
from approvals.domain.transitions import POLICY
from approvals.models import ActionRequest, Escalation, PolicyDecision, Requirement
from approvals.models.decision import column_of
from approvals.selectors.case import approved_today_by_person, case_of
from approvals.selectors.viewer_permissions import name_of
from audit.events import AuditCode
from audit.lib.canonical import canonical
from audit.lib.money import Money
from audit.services import record
from policies.authority import Case, deciders_for, deciders_with_authority
from policies.facts import Facts
from policies.models import PolicyVersion
from policies.quorum import unmeetable
from policies.roles import ANSWERS_TO
from policies.services.traces import stored_trace
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
        decide_within=evaluation.deadlines.decide_by,
        execute_within=evaluation.deadlines.execute_by,
        facts=canonical(facts.flat()),
        trace=canonical(stored_trace(evaluation)),
        created_at=at,
    )


def operating_model_of(decision: PolicyDecision) -> str:
    """How much the agent does by itself, as policy said it then."""
    return str(json.loads(decision.trace).get("operating_model", ""))


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
            alternatives=column_of(spec.alternatives),
            excludes=column_of(spec.excludes),
        )
        for spec in specs
    )


def case_for_all(request: ActionRequest, *, at: datetime) -> Case:
    """The case to find people with, everybody's day in one query.

    Own authority only: what is delegated is the delegate's to take, not to be sent, and adds
    nobody, for its delegator could decide as well.
    """
    spent = approved_today_by_person(request.currency, now=at, excluding=request)
    return replace(
        case_of(request, at=at), spent_today=lambda user: spent.get(user.person, 0), at=None
    )


def alarm_empty_routes(
    request: ActionRequest, requirements: list[Requirement], *, case: Case, at: datetime
) -> None:
    """Find requirements too few people may meet, and send each to somebody who may, on record.

    Where only limits are too low it climbs the ladder of roles until somebody's covers the
    amount. Otherwise, and where the ladder ends without anybody, the alarm goes out and the named
    fallback has it. People count, not accounts, and nobody for two requirements. Who is out of
    office may still decide. `case` is from `case_for_all`.
    """
    candidates = _Candidates(
        case,
        [requirement.spec for requirement in requirements],
        [_able(case, requirement.spec) for requirement in requirements],
    )
    for index in candidates.short():
        requirement = requirements[index]
        climb = _climb(candidates, index)
        if climb is None:
            _alarm(request, requirement, _fallback(candidates, index), at=at)
        else:
            _send_up(request, requirement, climb, at=at)
        candidates = candidates.joined_by(index, requirement.escalated_to)


People: TypeAlias = dict[str, set[str]]
"""The persons who may answer a requirement, by the role they would do so in."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Who may answer which requirement now."""

    case: Case
    specs: list[RequirementSpec]
    able: list[People]

    def short(self) -> tuple[int, ...]:
        """Where there are too few, all requirements taken together."""
        return unmeetable(self.specs, self.able)

    def joined_by(self, index: int, role: str) -> _Candidates:
        """The same with that role answering this requirement as well."""
        more = _able(self.case, replace(self.specs[index], group=role, alternatives=()))
        return self.with_people(index, self.able[index] | more)

    def with_people(self, index: int, people: People) -> _Candidates:
        return replace(self, able=[*self.able[:index], people, *self.able[index + 1 :]])


@dataclass(frozen=True, slots=True)
class _Climb:
    """Where a requirement goes when nobody below has a limit that covers the amount."""

    to: str
    because: str


def _able(case: Case, spec: RequirementSpec) -> People:
    result: People = {}
    for role in spec.groups:
        alone = replace(spec, group=role, alternatives=())
        result[role] = {user.person for user in deciders_for(case, alone)}
    return result


def _climb(candidates: _Candidates, index: int) -> _Climb | None:
    """The first role above whose people make it enough, if it is limits that fall short."""
    spec, amount = candidates.specs[index], candidates.case.amount
    if not spec.within_limit or amount is None:
        return None
    unlimited = _able(candidates.case, replace(spec, within_limit=False))
    if index in candidates.with_people(index, unlimited).short():
        return None  # there are too few people, whatever their limits
    for role in _ladder(spec.group):
        if index in candidates.joined_by(index, role).short():
            continue
        above = deciders_with_authority(candidates.case, replace(spec, group=role, alternatives=()))
        first, held_authority = above[0]
        most = Money(held_authority.limit_minor or 0, amount.currency)
        few = "Nobody" if spec.quorum == 1 else "Too few people"
        return _Climb(
            role,
            f"{few} in {' or '.join(spec.groups)} may approve {amount}; "
            f"{name_of(first)} ({role}) may up to {most}.",
        )
    return None


def _ladder(group: str) -> list[str]:
    """The roles above, from the next one up."""
    result: list[str] = []
    while (group := ANSWERS_TO.get(group, "")) and group not in result:
        result.append(group)
    return result


def _fallback(candidates: _Candidates, index: int) -> str:
    """The named fallback, or the first role above it whose people make it enough."""
    named = candidates.specs[index].escalates_to
    for role in (named, *_ladder(named)):
        if index not in candidates.joined_by(index, role).short():
            return role
    return named


def _alarm(
    request: ActionRequest, requirement: Requirement, fallback: str, *, at: datetime
) -> None:
    requirement.escalated_to = fallback
    requirement.save(update_fields=["escalated_to"])
    _keep_step(
        request, requirement, EscalationStep.NOBODY, "Too few people may decide this.", at=at
    )
    record(
        AuditCode.ROUTE_EMPTY,
        actor=POLICY,
        subject=request,
        data={"group": requirement.group, "fallback": fallback},
    )
    notifications.nobody(request, requirement)


def _send_up(
    request: ActionRequest, requirement: Requirement, climb: _Climb, *, at: datetime
) -> None:
    requirement.escalated_to = climb.to
    requirement.save(update_fields=["escalated_to"])
    _keep_step(request, requirement, EscalationStep.CLIMBED, climb.because, at=at)
    record(
        AuditCode.CLIMBED,
        actor=POLICY,
        subject=request,
        data={"group": requirement.group, "to": climb.to, "because": "above_limits"},
    )


def _keep_step(
    request: ActionRequest,
    requirement: Requirement,
    step: EscalationStep,
    reason: str,
    *,
    at: datetime,
) -> None:
    Escalation.objects.create(
        request=request,
        version=request.version,
        step=step,
        requirement=requirement,
        from_group=requirement.group,
        to_group=requirement.escalated_to,
        reason=reason[:500],
        due_at=at,
        created_at=at,
    )


def close_requirements(request: ActionRequest) -> None:
    """Take the request out of every inbox."""
    request.requirements.filter(is_open=True).update(is_open=False)
