"""What changed between approval and execution: nothing ever runs on an old approval.

What a claim rests on is held as it is until the transaction ends, by shared locks, which the ORM
does not know: workers do not wait for each other, and whoever cuts a limit, closes an account,
takes a role away or publishes a policy waits for the claim, or the claim sees it. SQLite has one
writer at a time and needs none of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from approvals.choices import FINAL_VERDICTS, DecisionVerdict
from approvals.domain.derivation import demand_intact
from approvals.domain.policy_check import check_policy_of
from approvals.models import ActionRequest, Grant
from approvals.selectors.authority import (
    approval_of,
    current_decisions,
    delegator_of,
    given_approvals,
    may_conclude,
    people_in,
    roles_of_people,
)
from approvals.selectors.case import case_of
from approvals.selectors.pauses import Stop, stops_since
from approvals.selectors.requests import content_of, read_at_once, requirements_of
from audit.lib import db
from connectors.base import Preview
from policies.authority import Authority, may_break_glass, still_may_decide
from policies.facts import Facts
from policies.models import PolicyVersion
from policies.quorum import Approval, progress
from policies.verdicts import Evaluation, Verdict


@dataclass(frozen=True, slots=True)
class Drift:
    """Why an approval no longer holds: a sentence for people, and one without staff for agents."""

    for_people: str
    for_agents: str = ""  # the same, unless it says otherwise

    @property
    def answer(self) -> str:
        """The sentence agents get."""
        return self.for_agents or self.for_people


@dataclass(frozen=True, slots=True)
class ExecutionCheck:
    """What policy says at execution, and why the approval no longer holds, if it does not."""

    policy: PolicyVersion | None
    evaluation: Evaluation
    facts: Facts
    drift: Drift | None = None  # None when everything still holds
    is_frozen: bool = False  # after a restore: neither run nor sent back until people end it
    restored: bool = False  # at some time since the request was made

    @property
    def is_denied(self) -> bool:
        return self.evaluation.verdict == Verdict.DENY


def check_before_execution(
    request: ActionRequest, grant: Grant, preview: Preview, *, at: datetime
) -> ExecutionCheck:
    """Compare what was approved with what is, everything, on a locked request.

    What it rests on is held until the caller's transaction ends. Everything stored of the request
    has been read (`read_at_once`) when it returns; whoever stores more forgets it first.
    Raises IntegrityBroken when the stored bytes do not have the digest they were stored with.
    """
    lock_authority(request, grant)
    read_at_once(request)
    content = content_of(request)
    demand_intact(request)
    evaluated = check_policy_of(request, preview, now=at)
    evaluation = evaluated.evaluation
    stops = stops_since(request, grant.created_at)
    drift = (
        _grant_drift(request, grant, content.digest, stops.newest)
        or _policy_denial(evaluation)
        or _target_drift(grant, preview)
        or (
            _break_glass_drift(request, at=at)
            if grant.is_break_glass
            else _authority_drift(request, evaluation, at=at)
        )
        or _starter_drift(request, grant)
    )
    return ExecutionCheck(
        evaluated.policy, evaluation, evaluated.facts, drift, stops.is_frozen, stops.restored
    )


def _grant_drift(
    request: ActionRequest, grant: Grant, digest: str, stop: Stop | None
) -> Drift | None:
    if grant.digest != digest or grant.version != request.version:
        return Drift("The action is not the one the grant was issued for.")
    if stop is not None:
        paused = "It was paused since it was approved."
        return Drift(f"{paused} {stop.for_people}", f"{paused} {stop.for_agents}")
    if request.amount_minor is not None and (
        grant.ceiling_minor is None
        or request.amount_minor > grant.ceiling_minor
        or request.currency != grant.currency
    ):
        return Drift("The amount is above the grant's ceiling.")
    return None


def _policy_denial(evaluation: Evaluation) -> Drift | None:
    if evaluation.verdict != Verdict.DENY:
        return None
    return Drift("; ".join(r.reason for r in evaluation.matched if r.effect == Verdict.DENY))


def _target_drift(grant: Grant, preview: Preview) -> Drift | None:
    # What policy alone allowed rests on the facts, and those were computed again just now.
    if grant.approvers and preview.target_version != grant.target_version:
        return Drift("The target has changed since it was approved.")
    return None


def _break_glass_drift(request: ActionRequest, *, at: datetime) -> Drift | None:
    """Whoever used break-glass could still do so; nobody else is asked for."""
    case = case_of(request, at=at)
    said = current_decisions(request)
    broke = [decision for decision in said if decision.verdict == DecisionVerdict.BREAK_GLASS]
    refusals = [may_break_glass(decision.decider, case) for decision in broke]
    if any(isinstance(answer, Authority) for answer in refusals):
        return None
    return Drift("Whoever used break-glass may no longer do so.")


def _starter_drift(request: ActionRequest, grant: Grant) -> Drift | None:
    """Whoever started it watches it: somebody who may no longer do so starts nothing."""
    starter = grant.started_by
    if starter is None or may_conclude(starter, request):
        return None
    return Drift(
        f"{starter} started it, and may no longer do so.",
        "Whoever started it may no longer do so.",
    )


def _authority_drift(
    request: ActionRequest, evaluation: Evaluation, *, at: datetime
) -> Drift | None:
    pinned = requirements_of(request)
    limited = {
        group for spec in evaluation.requirements if spec.within_limit for group in spec.groups
    }
    specs = (*(r.spec for r in pinned), *evaluation.requirements)
    excludes = any(spec.excludes for spec in specs)
    still_valid, lost = _valid_approvals(request, limited, excludes=excludes, at=at)
    if any(not p.met for p in progress(tuple(r.spec for r in pinned), still_valid)):
        who = f" ({'; '.join(lost)})" if lost else ""
        lapsed = "An approval it rests on no longer holds"
        return Drift(f"{lapsed}{who}.", f"{lapsed}.")
    # Pinned to its version, but a stricter policy is applied again.
    if evaluation.verdict == Verdict.REQUIRE_APPROVAL and any(
        not p.met for p in progress(evaluation.requirements, still_valid)
    ):
        groups = ", ".join(sorted({spec.group for spec in evaluation.requirements}))
        return Drift(f"Policy now requires approval by {groups}.")
    return None


def _valid_approvals(
    request: ActionRequest, limited: set[str], *, excludes: bool, at: datetime
) -> tuple[list[Approval], list[str]]:
    """The approvals whose givers could still give them, and why the others fell away.

    `limited` are the groups whose members need a limit by now, whether they did then or not;
    `excludes`, whether any requirement keeps members of other roles out.
    """
    still_valid: list[Approval] = []
    lost: list[str] = []
    given = given_approvals(request)
    if not given:
        return still_valid, lost
    case = case_of(request, at=at)
    roles = roles_of_people(given) if excludes else {}
    for decision in given:
        requirement = decision.requirement
        if requirement is None:
            continue
        asked = replace(
            requirement.spec,
            group=decision.group,
            alternatives=(),
            within_limit=requirement.within_limit
            or not limited.isdisjoint(requirement.spec.groups),
        )
        answer = still_may_decide(
            decision.decider, case, asked, delegation_id=decision.delegation_id
        )
        if isinstance(answer, Authority):
            held = roles.get(decision.decider.person, frozenset()) | roles.get(
                delegator_of(decision), frozenset()
            )
            checked = asked.within_limit or case.amount is None
            still_valid.append(replace(approval_of(decision, held), limit_checked=checked))
        else:
            lost.append(f"{decision.person}: {answer.message}")
    return still_valid, lost


# in the order the services that change them lock them: people, roles, limits, delegations, policy
_PEOPLE = (
    "SELECT 1 FROM policies_user WHERE person = ANY(%(persons)s) "
    "OR id = ANY(%(accounts)s) ORDER BY id FOR SHARE",
    """
    SELECT 1 FROM auth_group WHERE id IN (
        SELECT m.group_id FROM policies_user_groups m JOIN policies_user u ON u.id = m.user_id
        WHERE u.person = ANY(%(persons)s)
    ) ORDER BY id FOR SHARE
    """,
    """
    SELECT 1 FROM policies_approvallimit WHERE valid AND (
        user_id IN (SELECT id FROM policies_user WHERE person = ANY(%(persons)s))
        OR group_id IN (
            SELECT m.group_id FROM policies_user_groups m JOIN policies_user u ON u.id = m.user_id
            WHERE u.person = ANY(%(persons)s)
        )
    ) ORDER BY id FOR SHARE
    """,
)
_DELEGATIONS = (
    "SELECT 1 FROM policies_delegation WHERE id = ANY(%(delegations)s) ORDER BY id FOR SHARE"
)
_POLICY = "SELECT 1 FROM policies_policyversion WHERE status = 'published' FOR SHARE"


def lock_authority(request: ActionRequest, grant: Grant) -> None:
    """Hold the people who approved and started it, their roles and limits, and the policy."""
    if not db.is_postgres():
        return  # and spare SQLite the reading
    given = [d for d in current_decisions(request) if d.verdict in FINAL_VERDICTS]
    delegations = [one.delegation for one in given if one.delegation is not None]
    accounts = {one.decider_id for one in given} | {one.lender_id for one in delegations}
    if grant.started_by_id is not None:
        accounts.add(grant.started_by_id)
    values: dict[str, Any] = {
        "persons": sorted(people_in(given)),
        "accounts": sorted(accounts),
        "delegations": sorted({one.pk for one in delegations}),
    }
    for statement in _PEOPLE if accounts else ():
        db.hold(statement, values)
    if delegations:
        db.hold(_DELEGATIONS, values)
    db.hold(_POLICY, values)
