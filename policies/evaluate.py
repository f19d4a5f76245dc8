"""What does policy say? Pure: a document and facts in, an `Evaluation` out. No clock, no database.

The strictest matching rule wins. Whatever keeps policy from knowing (an error in a clause, facts of
the wrong type, nothing matching, a broken document) requires people at the highest tier.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from policies.cel import FALSE, TRUE, Activation, Answer
from policies.document import Document, Rule
from policies.facts import FactError, Facts
from policies.matrix import Cell, OperatingModel, Pattern
from policies.verdicts import (
    HIGHEST_TIER,
    Clause,
    Clocks,
    Evaluation,
    RequirementSpec,
    RuleTrace,
    Verdict,
)

logger = logging.getLogger(__name__)

ENGINE = "countersign"
"""Owner of the trace entries no document wrote."""
LOWEST_TIER_NEVER_ALLOWED = 4
_MOST_KNOWN_TRACES = 10_000
_STRICTNESS = {verdict: rank for rank, verdict in enumerate(Verdict)}

BUILT_IN_HIGHEST = Cell(
    requirements=(
        RequirementSpec("operations"),
        RequirementSpec("manager"),
    ),
    evidence=(),
    clocks=Clocks(decide_by=timedelta(hours=1), execute_by=timedelta(hours=2)),
    reason_required=True,
    window="",
    operating_model=OperatingModel.IN_THE_LOOP,
    pattern=Pattern.TWO_GROUPS,
)
"""The highest tier when there is no document to ask."""


def evaluate(document: Document, facts: Facts, *, version: str) -> Evaluation:
    """Judge one request. Never raises for what document or facts hold: it fails closed instead."""
    try:
        return _judge(document, facts, version)
    except FactError as error:
        return fail_closed(f"A fact is unusable: {error}", version=version)
    except Exception as error:
        logger.exception("Policy evaluation failed; people must decide")
        return fail_closed(f"The policy engine failed: {type(error).__name__}", version=version)


def fail_closed(reason: str, *, version: str = "") -> Evaluation:
    """The answer when policy cannot answer: people decide, at the highest tier."""
    cell = BUILT_IN_HIGHEST
    return Evaluation(
        verdict=Verdict.REQUIRE_APPROVAL,
        tier=HIGHEST_TIER,
        requirements=cell.requirements,
        clocks=cell.clocks,
        evidence_required=cell.evidence,
        reason_required=cell.reason_required,
        window=cell.window,
        trace=(_engine_entry("fail-closed", reason),),
        version=version,
        tier_reason=reason,
        operating_model=cell.operating_model,
        pattern=cell.pattern,
        failed_closed=reason,
    )


@dataclass(frozen=True, slots=True)
class _Tier:
    number: int
    reason: str
    errors: tuple[Clause, ...]


def _judge(document: Document, facts: Facts, version: str) -> Evaluation:
    activation = Activation.of(facts)
    answers = document.clauses.ask(activation)
    trace = [_trace(rule, answers, document.known_traces) for rule in document.rules]
    matched = [rule for rule, entry in zip(document.rules, trace, strict=True) if entry.matched]
    tier = _tier(document, answers, matched)
    verdict = _strictest(matched)

    failure = _failure(trace, tier, matched)
    if failure:
        clauses = (*tier.errors, *(c for t in trace for c in t.clauses if c.outcome == "error"))
        trace.append(_engine_entry("fail-closed", failure, clauses))
        tier = replace(tier, number=HIGHEST_TIER, reason=failure)
        verdict = max(verdict, Verdict.REQUIRE_APPROVAL, key=_STRICTNESS.__getitem__)

    cell = document.matrix.cell(tier.number, facts.action.type)
    if verdict == Verdict.ALLOW:
        objection = _objection(tier.number, facts, cell)
        if objection:
            trace.append(_engine_entry("never-automatic", objection))
            verdict = Verdict.REQUIRE_APPROVAL
    requirements: tuple[RequirementSpec, ...] = ()
    if verdict == Verdict.REQUIRE_APPROVAL:
        people = document.matrix.people(tier.number, facts.action.type)
        requirements = _requirements(matched, people, tier.number)
    return Evaluation(
        verdict=verdict,
        tier=tier.number,
        requirements=requirements,
        clocks=cell.clocks,
        evidence_required=cell.evidence,
        reason_required=cell.reason_required,
        window=cell.window,
        trace=tuple(trace),
        version=version,
        categories=tuple(dict.fromkeys(c for rule in matched for c in rule.categories)),
        tier_reason=tier.reason,
        operating_model=cell.operating_model,
        pattern=cell.pattern,
        failed_closed=failure,
    )


def _trace(
    rule: Rule, answers: Mapping[str, Answer], known: dict[tuple[object, ...], RuleTrace]
) -> RuleTrace:
    found = [answers[text] for text in rule.when]
    key = (rule.id, *[answer is TRUE for answer in found])
    is_plain = all(answer is TRUE or answer is FALSE for answer in found)
    trace = known.get(key) if is_plain else None
    if trace is None:
        clauses = tuple(
            Clause(text, answer.outcome, answer.detail)
            for text, answer in zip(rule.when, found, strict=True)
        )
        matched = all(answer is TRUE for answer in found)
        trace = RuleTrace(rule.id, rule.owner, rule.reason, rule.effect, matched, clauses)
        if is_plain and len(known) < _MOST_KNOWN_TRACES:
            known[key] = trace
    return trace


def _tier(document: Document, answers: Mapping[str, Answer], matched: list[Rule]) -> _Tier:
    """The highest tier any tier rule gives, raised by the floors of matching rules."""
    number, reason = -1, ""
    errors: list[Clause] = []
    for rule in document.tiers:
        found = [answers[text] for text in rule.when]
        broken = [
            Clause(text, answer.outcome, answer.detail)
            for text, answer in zip(rule.when, found, strict=True)
            if answer.outcome == "error"
        ]
        errors += broken
        if not broken and rule.tier > number and all(answer is TRUE for answer in found):
            number, reason = rule.tier, rule.reason
    if number < 0:
        return _Tier(HIGHEST_TIER, "", tuple(errors))
    for floor in matched:
        if floor.tier > number:
            number, reason = floor.tier, floor.reason
    return _Tier(number, reason, tuple(errors))


def _strictest(matched: Iterable[Rule]) -> Verdict:
    return max(
        (rule.effect for rule in matched), key=_STRICTNESS.__getitem__, default=Verdict.ALLOW
    )


def _failure(trace: list[RuleTrace], tier: _Tier, matched: list[Rule]) -> str:
    """Why policy cannot know, in one sentence; empty when it can."""
    broken = [t.rule for t in trace if "error" in [c.outcome for c in t.clauses]]
    if broken:
        return f"A condition of {', '.join(broken)} could not be evaluated."
    if tier.errors:
        return "A condition that decides the tier could not be evaluated."
    if not matched:
        return "No rule matched."
    if not tier.reason:
        return "No tier rule matched."
    return ""


def _objection(tier: int, facts: Facts, cell: Cell) -> str:
    """Why this may not run without people, though every matching rule allows it."""
    if facts.action.supervised:
        return "A person starts this and watches; it never runs by itself."
    if tier >= LOWEST_TIER_NEVER_ALLOWED:
        return f"Tier {tier} never runs without people."
    missing = [kind for kind in cell.evidence if kind not in facts.evidence.kinds]
    if missing:
        return f"Required evidence is missing: {', '.join(missing)}."
    return ""


def _requirements(
    matched: list[Rule], people: tuple[RequirementSpec, ...], tier: int
) -> tuple[RequirementSpec, ...]:
    named = [spec for rule in matched for spec in rule.requirements]
    base = [*people, *named] if tier >= LOWEST_TIER_NEVER_ALLOWED else named or list(people)
    added = [spec for rule in matched for spec in rule.adds]
    return merged([*base, *added])


def merged(specs: Iterable[RequirementSpec]) -> tuple[RequirementSpec, ...]:
    """One requirement per group, each as strict as the strictest that names the group."""
    result: dict[str, RequirementSpec] = {}
    for spec in specs:
        other = result.get(spec.group)
        if other is None:
            result[spec.group] = spec
            continue
        result[spec.group] = replace(
            other,
            quorum=max(other.quorum, spec.quorum),
            stage=max(other.stage, spec.stage),
            within_limit=other.within_limit or spec.within_limit,
        )
    return tuple(result.values())


def _engine_entry(rule: str, reason: str, clauses: tuple[Clause, ...] = ()) -> RuleTrace:
    return RuleTrace(rule, ENGINE, reason, Verdict.REQUIRE_APPROVAL, True, clauses)


def evaluate_briefly(
    document: Document, facts: Mapping[str, object]
) -> tuple[Verdict, int, tuple[str, ...]]:
    """Verdict, tier and sorted groups for flat facts, as `evaluate` answers; for many in a row."""
    try:
        found = evaluate(document, Facts.from_flat(facts), version="")
    except FactError as error:
        found = fail_closed(f"A fact is unusable: {error}")
    return found.verdict, found.tier, tuple(sorted(spec.group for spec in found.requirements))
