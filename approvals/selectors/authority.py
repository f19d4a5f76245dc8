"""On what grounds this person may decide this request, and how far its requirements are met."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from approvals.choices import DecisionVerdict, Origin
from approvals.exceptions import NotAuthorised
from approvals.models import ActionRequest, PolicyDecision, Requirement
from approvals.selectors import clock
from approvals.selectors.case import case_of
from approvals.selectors.requests import requirements_of
from audit.money import Money
from policies.authority import Authority, Refusal, may_decide
from policies.models import User
from policies.quorum import Approval, Progress, all_met, progress
from policies.verdicts import RequirementSpec

MANAGER = "manager"
FRESH_FOR = timedelta(hours=24)
"""How old a reading may be when somebody approves on it."""


def approvals_of(request: ActionRequest) -> list[Approval]:
    """The approvals of the current version, each counted for the role it was given in."""
    given = request.decisions.filter(
        version=request.version, verdict=DecisionVerdict.APPROVE
    ).select_related("requirement")
    return [
        Approval(person=d.person, group=d.requirement.group if d.requirement else d.group)
        for d in given
    ]


def progress_of(request: ActionRequest) -> list[Progress]:
    """How far each requirement of the current version is met, in order."""
    specs = tuple(r.spec for r in requirements_of(request))
    return list(progress(specs, approvals_of(request)))


def is_settled(request: ActionRequest) -> bool:
    """Have people said yes to everything the current version requires?"""
    return all_met([r.spec for r in requirements_of(request)], approvals_of(request))


def grounds_for(
    decider: User,
    request: ActionRequest,
    *,
    needs_limit: bool,
    at: datetime,
    amount: Money | None = None,
) -> tuple[Requirement, Authority]:
    """The open requirement this person may answer, and why they may. Raises NotAuthorised.

    Rejecting, asking and escalating need no limit: nobody needs authority over an amount to
    stop it. `amount` is what an edit leads to; the larger of the two counts.
    """
    case = case_of(request, at=at, edited_to=amount)
    refusals: list[Refusal] = []
    for requirement, state in zip(requirements_of(request), progress_of(request), strict=True):
        if state.met or not state.open:
            continue
        for spec in _ways_in(requirement):
            answer = may_decide(
                decider, case, spec if needs_limit else replace(spec, within_limit=False)
            )
            if isinstance(answer, Authority):
                if not _has_answered_elsewhere(answer.group, requirement):
                    return requirement, answer
                answer = Refusal(
                    "one_group_twice",
                    f"Two groups must agree, and {answer.group} has answered for one already.",
                )
            refusals.append(answer)
    if not refusals:
        raise NotAuthorised("Nothing here is open for you to decide.", code="nothing_open")
    worst = next((r for r in refusals if r.code != "not_in_group"), refusals[0])
    raise NotAuthorised(worst.message, code=worst.code)


def _ways_in(requirement: Requirement) -> list[RequirementSpec]:
    """The requirement as its group may answer it, and as whom it was escalated to may."""
    spec = requirement.spec
    if requirement.escalated_to in ("", spec.group):
        return [spec]
    return [spec, replace(spec, group=requirement.escalated_to)]


def _has_answered_elsewhere(group: str, requirement: Requirement) -> bool:
    """Has this group approved for another requirement, so that two groups would become one?"""
    return (
        requirement.request.decisions.filter(
            version=requirement.version, verdict=DecisionVerdict.APPROVE, group=group
        )
        .exclude(requirement=requirement)
        .exists()
    )


def missing_evidence(request: ActionRequest, policy: PolicyDecision, *, at: datetime) -> list[str]:
    """Kinds of evidence policy demands that the system has not read, or read too long ago.

    What an agent supplies never counts: it could call anything by any name.
    """
    read = request.evidence.filter(
        version=request.version, origin=Origin.SYSTEM, retrieved_at__gt=at - FRESH_FOR
    )
    fresh = set(read.values_list("kind", flat=True))
    return [kind for kind in policy.evidence_required if kind not in fresh]


def may_conclude(person: User, request: ActionRequest) -> bool:
    """May this person start, sign off, resolve or propose undoing it?

    Whoever could decide on it (an amount aside), or a manager; never somebody who had a hand in
    it.
    """
    case = case_of(request, at=clock.now())
    groups = {r.group for r in requirements_of(request)} | {MANAGER}
    return any(
        isinstance(may_decide(person, case, RequirementSpec(group=group)), Authority)
        for group in sorted(groups)
    )
