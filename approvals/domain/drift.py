"""What changed between approval and execution: nothing ever runs on an old approval.

What a claim rests on is held as it is until the transaction ends, by shared locks, which the ORM
does not know: workers do not wait for each other, and whoever cuts a limit, closes an account,
takes a role away or publishes a policy waits for the claim, or the claim sees it. SQLite has one
writer at a time and needs none of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from approvals.choices import FINAL_VERDICTS, DecisionVerdict
from approvals.domain.attempts import ANOTHER_CONNECTION
from approvals.domain.derivation import demand_intact
from approvals.domain.fact_builder import before_counted_asked
from approvals.domain.grants import demand_as_issued, issue_asked
from approvals.domain.policy_check import check_policy_of
from approvals.domain.routing import concern_of
from approvals.domain.triggers import asked_about_stored
from approvals.models import ActionRequest, Grant, RequestContent
from approvals.selectors.authority import (
    approval_of,
    current_decisions,
    delegator_of,
    given_approvals,
    may_conclude,
    people_in,
    roles_of_people,
)
from approvals.selectors.case import case_of, day_asked, ownership_asked
from approvals.selectors.pauses import Stop, stops_asked, stops_since
from approvals.selectors.requests import content_of, read_at_once, requirements_of, rows_of
from audit.lib import db
from audit.lib.prepared import Question, asked_together
from connectors.base import Preview
from connectors.registry import action_type
from policies.authority import Authority, account_asked, may_break_glass, still_may_decide
from policies.facts import Facts
from policies.models import PolicyVersion, User
from policies.owners import as_named
from policies.quorum import Approval, progress
from policies.services.evaluation import versions_asked
from policies.team_names import spoken
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
    request: ActionRequest,
    grant: Grant,
    preview: Preview,
    *,
    approvers: Collection[User],
    at: datetime,
) -> ExecutionCheck:
    """Compare what was approved with what is, everything, on a locked request.

    The caller holds what it rests on (`lock_authority` tells the approvers), and all of it is read
    after that. What is stored of the request is in hand (`read_at_once`) when it returns; whoever
    stores more forgets it first. Raises IntegrityBroken when the stored bytes do not have the
    digest they were stored with, or are not what the trail says was approved.
    """
    with asked_together(*_asked(request, grant, approvers, at=at)):
        read_at_once(request, *_RESTS_ON)
        content = content_of(request)
        demand_intact(request)
        demand_as_issued(request, grant, content.digest)
        evaluated = check_policy_of(request, preview, now=at)
        evaluation = evaluated.evaluation
        stops = stops_since(request, grant.created_at)
        drift = (
            _grant_drift(request, grant, stops.newest)
            or _definition_drift(content)
            or _policy_denial(evaluation)
            or _connection_drift(grant, preview)
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


_RESTS_ON = ("contents", "policy_decisions", "evidence", "requirements", "decisions", "thread")


def _asked(
    request: ActionRequest, grant: Grant, approvers: Collection[User], *, at: datetime
) -> Iterator[Question]:
    """What is going to be asked, in one statement."""
    yield from rows_of(request.pk, *_RESTS_ON)
    yield issue_asked(request.pk)
    yield from stops_asked(request, grant.created_at)
    yield versions_asked()
    yield before_counted_asked(request, now=at)
    yield asked_about_stored(request)
    yield ownership_asked(request)
    for approver in approvers:
        yield from account_asked(approver)
        yield from day_asked(approver.person, request, at=at)


def _grant_drift(request: ActionRequest, grant: Grant, stop: Stop | None) -> Drift | None:
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


def _definition_drift(content: RequestContent) -> Drift | None:
    """Whether the file that says how it is done was changed; earlier releases kept no digest."""
    stored = json.loads(content.action)
    kind = action_type(stored["action_type"])
    if stored.get("definition", kind.definition) == kind.definition:
        return None
    return Drift(f"How {kind.key} is carried out was changed since it was proposed.")


def _policy_denial(evaluation: Evaluation) -> Drift | None:
    if evaluation.verdict != Verdict.DENY:
        return None
    return Drift("; ".join(r.reason for r in evaluation.matched if r.effect == Verdict.DENY))


def _connection_drift(grant: Grant, preview: Preview) -> Drift | None:
    """Grants of earlier versions name none; where there is none now, the call is refused."""
    if preview.connection in {"", grant.connection} or not grant.connection:
        return None
    before, now = (one.partition("@")[0] for one in (grant.connection, preview.connection))
    if before == now:
        what = f"The connection {now} leads elsewhere than when it was approved."
    else:
        what = f"It was approved to go through the connection {before} and would go through {now}."
    return Drift(what, ANOTHER_CONNECTION)


def _target_drift(grant: Grant, preview: Preview) -> Drift | None:
    # What policy alone allowed rests on the facts, and those were computed again just now.
    approved = (grant.target_version, grant.guard)
    if grant.approvers and (preview.target_version, preview.guard) != approved:
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
    # whoever was looked up when it was routed is asked still, whoever is on record by now
    known = {name: group for r in pinned for name, group in r.found.items()}
    asked = as_named(evaluation.requirements, concern_of(request), known)
    required = [one.spec for one in asked]
    limited = {group for spec in required if spec.within_limit for group in spec.groups}
    specs = (*(r.spec for r in pinned), *required)
    excludes = any(spec.excludes for spec in specs)
    still_valid, lost = _valid_approvals(request, limited, excludes=excludes, at=at)
    if any(not p.met for p in progress(tuple(r.spec for r in pinned), still_valid)):
        who = f" ({'; '.join(lost)})" if lost else ""
        lapsed = "An approval it rests on no longer holds"
        return Drift(f"{lapsed}{who}.", f"{lapsed}.")
    # Pinned to its version, but a stricter policy is applied again.
    if evaluation.verdict == Verdict.REQUIRE_APPROVAL and any(
        not p.met for p in progress(required, still_valid)
    ):
        groups = ", ".join(sorted({spoken(spec.group) for spec in required}))
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


# In the order the services that change them lock them: people, roles, limits, delegations, policy.
# Each statement sees what the one before waited for: who is in a role, and which limits there are.
_POLICY = "SELECT 1 FROM policies_policyversion WHERE status = 'published' FOR SHARE"
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
    SELECT 1 FROM (
        SELECT 1 FROM policies_approvallimit WHERE valid AND (
            user_id IN (SELECT id FROM policies_user WHERE person = ANY(%(persons)s))
            OR group_id IN (
                SELECT m.group_id FROM policies_user_groups m
                JOIN policies_user u ON u.id = m.user_id WHERE u.person = ANY(%(persons)s)
            )
        ) ORDER BY id FOR SHARE
    ) limits
    UNION ALL SELECT 1 FROM (
        SELECT 1 FROM policies_delegation WHERE id = ANY(%(delegations)s) ORDER BY id FOR SHARE
    ) delegations
    UNION ALL SELECT 1 FROM (
        SELECT 1 FROM policies_policyversion WHERE status = 'published' FOR SHARE
    ) policy
    """,
)


def lock_authority(request: ActionRequest, grant: Grant) -> frozenset[User]:
    """Hold the people who approved and started it, their roles and limits, and the policy.

    Returns the accounts that said yes, as they were before.
    """
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
    for statement in _PEOPLE if accounts else (_POLICY,):
        db.hold(statement, values)
    return frozenset(one.decider for one in given_approvals(request))
