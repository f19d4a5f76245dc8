"""What policy says about an action now; whatever could not be read or checked never just runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from approvals.choices import DecisionVerdict, State
from approvals.domain import usage
from approvals.domain.auto_pause import rejection_note_for
from approvals.domain.derivation import Candidate, as_stored, rederive
from approvals.domain.fact_builder import (
    Before,
    amount_in_base,
    before_asked,
    before_counted,
    compute_facts,
    evidence_held,
    is_over_ceiling,
    read_usage,
)
from approvals.domain.triggers import asked_about
from approvals.exceptions import InvalidProposal
from approvals.models import ActionRequest
from audit.lib.prepared import asked_together
from audit.lib.writes import Write, write_together
from connectors.base import Preview
from policies.document import time_facts
from policies.evaluate import ENGINE, fail_closed
from policies.facts import EvidenceFacts, Facts, TimeFacts
from policies.models import PolicyVersion
from policies.services.evaluation import (
    document_of,
    evaluate_together,
    versions_asked,
    versions_in_force,
)
from policies.services.rates import STALE_AFTER as RATES_STALE_AFTER
from policies.services.rates import currencies_without_rate
from policies.verdicts import Evaluation, RequirementSpec, RuleTrace, Verdict

NOBODY_ASKED_BEFORE = (RequirementSpec(group="manager", within_limit=True),)
"""Who looks at something policy would allow by itself and that may not run unseen."""


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """What policy said, which version of it, and on which facts."""

    policy: PolicyVersion | None
    evaluation: Evaluation
    facts: Facts


def check_policy(
    candidate: Candidate, preview: Preview, *, now: datetime, before: Before | None = None
) -> PolicyCheck:
    """Ask the published policy. What nobody could read never runs without a person.

    Without `before` it looks at the counters as they are, and changes none.
    """
    if before is None:
        before = read_usage(candidate, usage.usage_now(candidate, preview, at=now), now=now)
    versions = versions_in_force()
    policy = versions.policy
    document = document_of(policy) if policy else ""
    kind = candidate.type.key
    time = TimeFacts() if isinstance(document, str) else time_facts(document, kind, now)
    facts = compute_facts(candidate, preview, now=now, before=before, time=time)
    evaluation = evaluate_together(versions, facts)
    gaps = evidence_held(candidate, facts, now=now).gaps(evaluation.evidence_required, at=now)
    if gaps:  # which kinds it asks for, and how fresh, is known only now
        missing = tuple(gap.kind for gap in gaps)
        facts = replace(facts, evidence=_without(facts.evidence, missing))
        evaluation = evaluate_together(versions, facts)
    if "problem" in preview.after and evaluation.verdict == Verdict.ALLOW:
        evaluation = with_engine_rule(
            evaluation,
            "target-unread",
            Verdict.REQUIRE_APPROVAL,
            "By what it shows, the target would refuse this.",
            requirements=NOBODY_ASKED_BEFORE,
        )
    evaluation = _naming_missing_rates(evaluation, candidate, now=now)
    return PolicyCheck(policy, _taught(evaluation, candidate, facts, now=now), facts)


def _without(evidence: EvidenceFacts, missing: tuple[str, ...]) -> EvidenceFacts:
    """With these kinds missing: what is too old is not there."""
    return replace(
        evidence,
        missing=missing,
        from_people=tuple(kind for kind in evidence.from_people if kind not in missing),
        supplied=tuple(kind for kind in evidence.supplied if kind not in missing),
    )


def check_policy_and_count(
    request: ActionRequest,
    candidate: Candidate,
    preview: Preview,
    *,
    now: datetime,
    write: Callable[[Write], None] = write_together,
) -> PolicyCheck:
    """Evaluate policy for a locked request with its counters locked too, and count it in them.

    Nobody who shares a counter is evaluated until the caller's transaction ends. Undoing is not
    counted, nor is what policy denies; what an earlier version added is taken out. Fills
    `request.amount_base`, and when it is evaluated first `request.chain`; the caller saves them.
    What counts it goes to `write`.
    """
    request.amount_base = amount_in_base(candidate, now)
    if candidate.is_undo:
        return check_policy(candidate, preview, now=now)
    held = usage.hold(candidate, preview, at=now, request=request)
    asked = (before_asked(candidate, now=now), versions_asked(), asked_about(candidate))
    with asked_together(*held.asked(now), *asked):
        usage_count = held.usage(now)
        before = read_usage(candidate, usage_count, now=now)
        if request.state == State.REQUESTED:
            request.chain = before.chain
        evaluated = check_policy(candidate, preview, now=now, before=before)
    if evaluated.evaluation.verdict != Verdict.DENY:
        usage.count(
            request,
            usage_count,
            base_minor=request.amount_base,
            allowed=evaluated.evaluation.verdict == Verdict.ALLOW,
            at=now,
            write=write,
        )
    return evaluated


def check_policy_of_edit(
    request: ActionRequest, candidate: Candidate, preview: Preview, *, now: datetime
) -> PolicyCheck:
    """What `check_policy_and_count` would say of an edit, were it made now; changes nothing.

    The edit itself is one of the agent's proposals that people changed.
    """
    if candidate.is_undo:
        counted = usage.usage_now(candidate, preview, at=now)
    else:
        counted = usage.usage_without(request, candidate, preview, at=now)
    before = read_usage(candidate, counted, now=now)
    if not request.decisions.filter(verdict=DecisionVerdict.EDIT).exists():
        before = replace(before, overrides=before.overrides + 1)
    return check_policy(candidate, preview, now=now, before=before)


def _taught(
    evaluation: Evaluation, candidate: Candidate, facts: Facts, *, now: datetime
) -> Evaluation:
    """Tell the proposer of a denial what the person said who rejected the same thing before."""
    if evaluation.verdict != Verdict.DENY or not facts.velocity.rejected_24h:
        return evaluation
    rejection_note = rejection_note_for(candidate, at=now)
    entry = RuleTrace(
        "earlier-rejection", ENGINE, rejection_note, Verdict.REQUIRE_APPROVAL, True, ()
    )
    return replace(evaluation, trace=(*evaluation.trace, entry)) if rejection_note else evaluation


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


def check_policy_of(
    request: ActionRequest,
    preview: Preview,
    *,
    now: datetime,
    counting: Callable[[Write], None] | None = None,
    before: Before | None = None,
) -> PolicyCheck:
    """Evaluate policy for a stored request. One its action type no longer accepts is denied.

    `counting` is for the first time, and writes what counts it; after that it is in the counters,
    and what was counted later takes nothing away from it. `before` is what came before, where the
    caller knows it.
    """
    try:
        candidate, problem = rederive(request), ""
    except InvalidProposal as error:
        first = error.problems[0]
        candidate, problem = as_stored(request), f"{first.field}: {first.message}"
    if counting and not problem:
        return check_policy_and_count(request, candidate, preview, now=now, write=counting)
    before = before or before_counted(request, candidate, now=now)
    evaluated = check_policy(candidate, preview, now=now, before=before)
    if not problem:
        return evaluated
    evaluation = with_engine_rule(
        evaluated.evaluation,
        "no-longer-valid",
        Verdict.DENY,
        f"{request.action_type} no longer accepts it: {problem}",
        requirements=(),
    )
    return replace(evaluated, evaluation=evaluation)


def denied_by_engine(rule: str, reason: str, *, tier: int) -> Evaluation:
    """What the engine denies by itself, without any policy, because nobody can evaluate it."""
    denied = with_engine_rule(fail_closed(reason), rule, Verdict.DENY, reason, requirements=())
    return replace(denied, tier=tier, trace=denied.trace[-1:])


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
