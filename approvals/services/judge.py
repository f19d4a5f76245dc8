"""What policy says about an action now; whatever could not be read or checked never just runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from approvals.exceptions import InvalidProposal
from approvals.models import ActionRequest
from approvals.services.derive import Candidate, as_stored, rederive
from approvals.services.facts import compute_facts
from connectors.base import Preview
from policies.evaluate import ENGINE
from policies.facts import Facts
from policies.models import PolicyVersion
from policies.services.evaluation import evaluate_active
from policies.verdicts import Evaluation, RequirementSpec, RuleTrace, Verdict

NOBODY_ASKED_BEFORE = (RequirementSpec(group="manager", within_limit=True),)
"""Who looks at something policy would allow by itself and that may not run unseen."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What policy said, which version of it, and on which facts."""

    policy: PolicyVersion | None
    evaluation: Evaluation
    facts: Facts


def judge(candidate: Candidate, preview: Preview, *, now: datetime) -> Judged:
    """Ask the published policy. What nobody could read never runs without a person."""
    facts = compute_facts(candidate, preview, now=now)
    policy, evaluation = evaluate_active(facts)
    doubt = _doubt(preview)
    if doubt and evaluation.verdict == Verdict.ALLOW:
        evaluation = _with_engine_rule(
            evaluation,
            "target-unread",
            Verdict.REQUIRE_APPROVAL,
            doubt,
            requirements=NOBODY_ASKED_BEFORE,
        )
    return Judged(policy, evaluation, facts)


def _doubt(preview: Preview) -> str:
    """Why nothing should happen on this reading without a person; empty when all is well."""
    if preview.unavailable:
        return "The target could not be read, so nobody knows what would change."
    if "problem" in preview.after:
        return "By what it shows, the target would refuse this."
    return ""


def judge_stored(request: ActionRequest, preview: Preview, *, now: datetime) -> Judged:
    """Judge a stored request. One its action type no longer accepts is denied."""
    try:
        return judge(rederive(request), preview, now=now)
    except InvalidProposal as error:
        judged = judge(as_stored(request), preview, now=now)
        problem = error.problems[0]
        evaluation = _with_engine_rule(
            judged.evaluation,
            "no-longer-valid",
            Verdict.DENY,
            f"{request.action_type} no longer accepts it: {problem.field}: {problem.message}",
            requirements=(),
        )
        return replace(judged, evaluation=evaluation)


def _with_engine_rule(
    evaluation: Evaluation,
    rule: str,
    effect: Verdict,
    reason: str,
    *,
    requirements: tuple[RequirementSpec, ...],
) -> Evaluation:
    entry = RuleTrace(rule, ENGINE, reason, effect, True, ())
    return replace(
        evaluation,
        verdict=effect,
        requirements=requirements,
        trace=(*evaluation.trace, entry),
    )
