"""Routing: turning what policy requires into requirements, clocks and somebody's inbox."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from approvals.choices import EscalationStep
from approvals.domain import notifications
from approvals.domain.transitions import POLICY
from approvals.models import ActionRequest, Escalation, PolicyDecision, Requirement
from approvals.models.decision import column_of, listed
from approvals.selectors.viewer_permissions import name_of
from audit.events import AuditCode
from audit.lib.canonical import JsonObject, canonical
from audit.lib.db import insert, insert_one
from audit.lib.money import Money
from audit.lib.writes import Update, write_together
from audit.services import record
from policies.authority import Case, deciders_for, deciders_with_authority
from policies.facts import Facts
from policies.models import PolicyVersion
from policies.owners import Asked, Concern, resolved
from policies.quorum import unmeetable
from policies.services.evaluation import opening_of
from policies.services.traces import stored_trace
from policies.team_names import spoken
from policies.teams import ladder
from policies.verdicts import Evaluation, RequirementSpec


def keep_policy_decision(
    request: ActionRequest,
    policy: PolicyVersion | None,
    evaluation: Evaluation,
    facts: Facts | None,
    *,
    purpose: PolicyDecision.Purpose,
    at: datetime,
) -> PolicyDecision:
    """Store what policy said, on which facts and why, beside the request.

    There are no facts where the engine denies by itself what nobody could evaluate.
    """
    return insert_one(
        new_policy_decision(request, policy, evaluation, facts, purpose=purpose, at=at)
    )


def new_policy_decision(
    request: ActionRequest,
    policy: PolicyVersion | None,
    evaluation: Evaluation,
    facts: Facts | None,
    *,
    purpose: PolicyDecision.Purpose,
    at: datetime,
) -> PolicyDecision:
    """`keep_policy_decision` for who stores it with other rows, and needs no key of it before."""
    return PolicyDecision(
        request=request,
        version=request.version,
        purpose=purpose,
        policy_version=policy,
        floor_id=evaluation.floor or None,
        verdict=evaluation.verdict.value,
        tier=evaluation.tier,
        reason_required=evaluation.reason_required,
        window=evaluation.window,
        evidence_required=[demand.stored() for demand in evaluation.evidence_required],
        decide_within=evaluation.deadlines.decide_by,
        execute_within=evaluation.deadlines.execute_by,
        facts=canonical(facts.flat() if facts else {}),
        trace=canonical(
            {
                **stored_trace(evaluation),
                **_opening(policy, evaluation, request.action_type, at),
            }
        ),
        created_at=at,
    )


def _opening(
    policy: PolicyVersion | None, evaluation: Evaluation, action_type: str, at: datetime
) -> JsonObject:
    """What execution has to wait for, as it is known now; nothing where it waits for nothing."""
    opening = opening_of(policy, evaluation.window, action_type, at)
    if opening is None:
        return {}
    said: JsonObject = {
        "at": opening.at.isoformat() if opening.at else None,
        "hours": opening.hours,
        "freezes": list(opening.freezes),
    }
    return {"opening": said}


def operating_model_of(decision: PolicyDecision) -> str:
    """How much the agent does by itself, as policy said it then."""
    return str(json.loads(decision.trace).get("operating_model", ""))


def recall_of(decision: PolicyDecision) -> timedelta:
    """How long an approval by people could be taken back, as policy said it then."""
    return timedelta(seconds=json.loads(decision.trace).get("recall_seconds", 0))


def create_requirements(
    request: ActionRequest, specs: Sequence[RequirementSpec]
) -> list[Requirement]:
    """Open one requirement per team or person asked, for the current version.

    Who is looked up is looked up now, and stays: another owner tomorrow changes nothing about it.
    """
    return list(insert(new_requirements(request, specs)))


def new_requirements(request: ActionRequest, specs: Sequence[RequirementSpec]) -> list[Requirement]:
    """The same, not stored yet."""
    return _requirements(request, resolved(specs, concern_of(request)))


def open_again(request: ActionRequest, before: Sequence[Requirement]) -> list[Requirement]:
    """Open the same requirements for the current version, asking the same people."""
    again = [Asked(one.spec, listed(one.looked_up), one.alarm) for one in before]
    return list(insert(_requirements(request, again)))


def concern_of(request: ActionRequest) -> Concern:
    """What the request is about, as far as it says who is asked."""
    return Concern(
        system=request.system,
        target=request.target,
        subject=request.on_behalf_of,
        team=request.agent.team,
    )


def _requirements(request: ActionRequest, asked: Sequence[Asked]) -> list[Requirement]:
    return [
        Requirement(
            request=request,
            version=request.version,
            looked_up=column_of(one.looked_up),
            alarm=one.problem,
            group=spec.group,
            quorum=spec.quorum,
            stage=spec.stage,
            within_limit=spec.within_limit,
            escalates_to=spec.escalates_to,
            alternatives=column_of(spec.alternatives),
            excludes=column_of(spec.excludes),
        )
        for one in asked
        for spec in [one.spec]
    ]


def alarm_empty_routes(
    request: ActionRequest, requirements: list[Requirement], *, case: Case, at: datetime
) -> None:
    """Find requirements too few people may meet, and send each to somebody who may, on record.

    Where only limits are too low it climbs the ladder of roles until somebody's covers the
    amount. Otherwise, and where the ladder ends without anybody, the alarm goes out and the named
    fallback has it. People count, not accounts, and nobody for two requirements. Who is out of
    office may still decide. `case` is from `case_for_all`.
    """
    specs, known = [r.spec for r in requirements], [r.alarm for r in requirements]
    for reroute in _reroutes(case, specs, known):
        requirement = requirements[reroute.index]
        (_alarm if reroute.is_alarm else _send_up)(request, requirement, reroute, at=at)


def alarms_foreseen(case: Case, asked: Sequence[Asked]) -> list[str]:
    """Why too few people could answer each of these, were they routed now; "" where enough can."""
    known = [one.problem for one in asked]
    for reroute in _reroutes(case, [one.spec for one in asked], known):
        if reroute.is_alarm:
            known[reroute.index] = reroute.why
    return known


@dataclass(frozen=True, slots=True)
class _Reroute:
    """One requirement too few people may answer, and who has it as well."""

    index: int
    to: str
    why: str
    is_alarm: bool  # otherwise it is limits, and somebody above has a larger one


def _reroutes(
    case: Case, specs: Sequence[RequirementSpec], known: Sequence[str]
) -> Iterator[_Reroute]:
    """`known` says why of those nobody is on record for."""
    candidates = _Candidates(case, list(specs), [_able(case, spec) for spec in specs])
    for index in candidates.short():
        climb = _climb(candidates, index)
        to = climb.to if climb else _fallback(candidates, index)
        why = climb.because if climb else known[index] or _why_too_few(candidates, index)
        yield _Reroute(index, to, why, is_alarm=climb is None)
        candidates = candidates.joined_by(index, to)


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
    if amount is None or not _is_about_limits(candidates, index):
        return None
    for role in ladder(spec.group):
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


def _is_about_limits(candidates: _Candidates, index: int) -> bool:
    """Whether there would be enough people if their limits covered the amount."""
    spec = candidates.specs[index]
    if not spec.within_limit or candidates.case.amount is None:
        return False
    unlimited = _able(candidates.case, replace(spec, within_limit=False))
    return index not in candidates.with_people(index, unlimited).short()


def _why_too_few(candidates: _Candidates, index: int) -> str:
    if _is_about_limits(candidates, index):
        who = " or ".join(map(spoken, candidates.specs[index].groups))
        return f"No approval limit in {who} covers {candidates.case.amount}."
    return "Too few people may decide this."


def _fallback(candidates: _Candidates, index: int) -> str:
    """The named fallback, or the first role above it whose people make it enough."""
    named = candidates.specs[index].escalates_to
    for role in (named, *ladder(named)):
        if index not in candidates.joined_by(index, role).short():
            return role
    return named


def _alarm(
    request: ActionRequest, requirement: Requirement, reroute: _Reroute, *, at: datetime
) -> None:
    requirement.escalated_to, requirement.alarm = reroute.to, reroute.why[:300]
    requirement.save(update_fields=["escalated_to", "alarm"])
    _keep_step(request, requirement, EscalationStep.NOBODY, reroute.why, at=at)
    record(
        AuditCode.ROUTE_EMPTY,
        actor=POLICY,
        subject=request,
        data={"group": requirement.group, "fallback": reroute.to},
    )
    notifications.nobody(request, requirement)


def _send_up(
    request: ActionRequest, requirement: Requirement, reroute: _Reroute, *, at: datetime
) -> None:
    requirement.escalated_to = reroute.to
    requirement.save(update_fields=["escalated_to"])
    _keep_step(request, requirement, EscalationStep.CLIMBED, reroute.why, at=at)
    record(
        AuditCode.CLIMBED,
        actor=POLICY,
        subject=request,
        data={"group": requirement.group, "to": reroute.to, "because": "above_limits"},
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
    write_together(closing_of(request))


def closing_of(request: ActionRequest) -> Update:
    """`close_requirements`, to be written with the request's moves."""
    theirs = {"request": request.pk, "is_open": True}
    return Update(Requirement, theirs, {"is_open": False}, may_miss=True)
