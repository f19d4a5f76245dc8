"""What policy says about an action now; whatever could not be read or checked never just runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from approvals.exceptions import InvalidProposal
from approvals.models import ActionRequest
from approvals.services import velocity
from approvals.services.derive import Candidate, as_stored, rederive
from approvals.services.facts import (
    Before,
    before_counted,
    compute_facts,
    is_over_ceiling,
    weigh,
    worth_in_base,
)
from approvals.services.loops import lesson_for
from connectors.base import Preview
from policies.calendar import time_facts
from policies.evaluate import ENGINE, fail_closed
from policies.facts import Facts, TimeFacts
from policies.models import PolicyVersion
from policies.services.evaluation import active_version, document_of, evaluate_version
from policies.services.rates import STALE_AFTER as RATES_STALE_AFTER
from policies.services.rates import currencies_without_rate
from policies.verdicts import Evaluation, RequirementSpec, RuleTrace, Verdict

NOBODY_ASKED_BEFORE = (RequirementSpec(group="manager", within_limit=True),)
"""Who looks at something policy would allow by itself and that may not run unseen."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What policy said, which version of it, and on which facts."""

    policy: PolicyVersion | None
    evaluation: Evaluation
    facts: Facts


def judge(
    candidate: Candidate, preview: Preview, *, now: datetime, before: Before | None = None
) -> Judged:
    """Ask the published policy. What nobody could read never runs without a person.

    Without `before` it looks at the counters as they are, and changes none.
    """
    if before is None:
        before = weigh(candidate, velocity.peek(candidate, preview, at=now), now=now)
    policy = active_version()
    document = document_of(policy) if policy else ""
    kind = candidate.type.key
    time = TimeFacts() if isinstance(document, str) else time_facts(document, kind, now)
    facts = compute_facts(candidate, preview, now=now, before=before, time=time)
    evaluation = _evaluate(policy, facts)
    missing = [k for k in evaluation.evidence_required if k not in facts.evidence.kinds]
    if missing:  # which kinds it asks for is known only now
        evidence = replace(facts.evidence, missing=tuple(missing))
        facts = replace(facts, evidence=evidence)
        evaluation = _evaluate(policy, facts)
    if "problem" in preview.after and evaluation.verdict == Verdict.ALLOW:
        evaluation = with_engine_rule(
            evaluation,
            "target-unread",
            Verdict.REQUIRE_APPROVAL,
            "By what it shows, the target would refuse this.",
            requirements=NOBODY_ASKED_BEFORE,
        )
    evaluation = _naming_missing_rates(evaluation, candidate, now=now)
    return Judged(policy, _taught(evaluation, candidate, facts, now=now), facts)


def judge_and_count(
    request: ActionRequest, candidate: Candidate, preview: Preview, *, now: datetime
) -> Judged:
    """Judge a locked request with its counters locked too, and count it in them.

    Nobody who shares a counter is judged until the caller's transaction ends. Undoing is not
    counted, nor is what policy denies; what an earlier version added is taken out. Fills
    `request.amount_base`, which the caller saves.
    """
    request.amount_base = worth_in_base(candidate, now)
    if candidate.is_undo:
        return judge(candidate, preview, now=now)
    tally = velocity.hold(candidate, preview, at=now, request=request)
    judged = judge(candidate, preview, now=now, before=weigh(candidate, tally, now=now))
    if judged.evaluation.verdict != Verdict.DENY:
        velocity.count(
            request,
            tally,
            worth=request.amount_base,
            allowed=judged.evaluation.verdict == Verdict.ALLOW,
            at=now,
        )
    return judged


def _evaluate(policy: PolicyVersion | None, facts: Facts) -> Evaluation:
    if policy is None:
        return fail_closed("No policy is published.")
    return evaluate_version(policy, facts)


def _taught(
    evaluation: Evaluation, candidate: Candidate, facts: Facts, *, now: datetime
) -> Evaluation:
    """Tell the proposer of a denial what the person said who rejected the same thing before."""
    if evaluation.verdict != Verdict.DENY or not facts.velocity.rejected_24h:
        return evaluation
    lesson = lesson_for(candidate, at=now)
    entry = RuleTrace("earlier-rejection", ENGINE, lesson, Verdict.REQUIRE_APPROVAL, True, ())
    return replace(evaluation, trace=(*evaluation.trace, entry)) if lesson else evaluation


def _naming_missing_rates(
    evaluation: Evaluation, candidate: Candidate, *, now: datetime
) -> Evaluation:
    """Say which rate is missing where it counts as above the ceiling because nobody can tell."""
    amount, ceiling = candidate.amount, candidate.agent.ceiling
    if (
        evaluation.verdict == Verdict.ALLOW
        or amount is None
        or ceiling is None
        or is_over_ceiling(candidate, now) is not None
    ):
        return evaluation
    day = now.astimezone(UTC).date()
    missing = currencies_without_rate((amount.currency, ceiling.currency), day)
    reason = (
        f"There is no exchange rate for {' and '.join(missing)} from the last "
        f"{RATES_STALE_AFTER.days} days, so nobody knows whether {amount} is above the agent's "
        f"ceiling of {ceiling}."
    )
    entry = RuleTrace("no-exchange-rate", ENGINE, reason, Verdict.REQUIRE_APPROVAL, True, ())
    return replace(evaluation, trace=(*evaluation.trace, entry))


def judge_stored(
    request: ActionRequest, preview: Preview, *, now: datetime, counting: bool = False
) -> Judged:
    """Judge a stored request. One its action type no longer accepts is denied.

    `counting` is for the first time; after that it is in the counters, and what was counted
    later takes nothing away from it.
    """
    try:
        candidate, problem = rederive(request), ""
    except InvalidProposal as error:
        first = error.problems[0]
        candidate, problem = as_stored(request), f"{first.field}: {first.message}"
    if counting and not problem:
        return judge_and_count(request, candidate, preview, now=now)
    before = before_counted(request, candidate, now=now)
    judged = judge(candidate, preview, now=now, before=before)
    if not problem:
        return judged
    evaluation = with_engine_rule(
        judged.evaluation,
        "no-longer-valid",
        Verdict.DENY,
        f"{request.action_type} no longer accepts it: {problem}",
        requirements=(),
    )
    return replace(judged, evaluation=evaluation)


def with_engine_rule(
    evaluation: Evaluation,
    rule: str,
    effect: Verdict,
    reason: str,
    *,
    requirements: tuple[RequirementSpec, ...],
) -> Evaluation:
    """The evaluation as overruled by the engine, which says why beside the rules."""
    entry = RuleTrace(rule, ENGINE, reason, effect, True, ())
    return replace(
        evaluation,
        verdict=effect,
        requirements=requirements,
        trace=(*evaluation.trace, entry),
    )
