"""What does policy say? Pure: a document and facts in, an `Evaluation` out. No clock, no database.

The strictest matching rule wins. Whatever keeps policy from knowing (an error in a clause, facts of
the wrong type, no rate for a currency, nothing matching, no time left, a broken document) requires
people at the highest tier. So does a target nobody could read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from policies.clauses.battery import Heard, OutOfTime, Values
from policies.document import Document, Rule
from policies.facts import FactError, Facts
from policies.matrix import SHAPES, Cell, OperatingModel, Pattern, shape_of
from policies.objections import LOWEST_TIER_NEVER_ALLOWED, Seen, objection_to
from policies.requirements import merged
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
_MOST_KNOWN = 10_000
_STRICTNESS = {verdict: rank for rank, verdict in enumerate(Verdict)}

BUILT_IN_HIGHEST = Cell(
    requirements=(
        RequirementSpec("operations"),
        RequirementSpec("manager", escalates_to="executive"),
    ),
    evidence=(),
    clocks=Clocks(decide_by=timedelta(hours=1), execute_by=timedelta(hours=2)),
    reason_required=True,
    window="",
    operating_model=OperatingModel.IN_THE_LOOP,
    pattern=Pattern.TWO_GROUPS,
)
"""The highest tier when there is no document to ask."""


def evaluate(
    document: Document,
    facts: Facts,
    *,
    version: str,
    in_time: Callable[[], bool] | None = None,
) -> Evaluation:
    """Judge one request. Never raises for what document or facts hold: it fails closed instead.

    `in_time` is asked before each crossing into CEL; once it says no, people decide.
    """
    return _safely(lambda: _recall(document, document.values(facts), version, in_time), version)


def evaluate_flat(document: Document, facts: Mapping[str, object], *, version: str) -> Evaluation:
    """The same for flat facts, as stored with every decision: for many in a row.

    Facts not named have their defaults.
    """
    return _safely(lambda: _recall(document, document.flat_values(facts), version, None), version)


def evaluate_briefly(
    document: Document, facts: Mapping[str, object]
) -> tuple[Verdict, int, tuple[str, ...]]:
    """Verdict, tier and sorted groups of `evaluate_flat`."""
    found = evaluate_flat(document, facts, version="")
    return found.verdict, found.tier, tuple(sorted(spec.group for spec in found.requirements))


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


def _safely(judge: Callable[[], Evaluation], version: str) -> Evaluation:
    try:
        return judge()
    except FactError as error:
        return fail_closed(f"A fact is unusable: {error}", version=version)
    except OutOfTime:
        logger.error("Policy evaluation took too long; people must decide")
        return fail_closed("Policy took too long to answer.", version=version)
    except Exception as error:
        logger.exception("Policy evaluation failed; people must decide")
        return fail_closed(f"The policy engine failed: {type(error).__name__}", version=version)


@dataclass(frozen=True, slots=True)
class _Tier:
    number: int
    reason: str
    errors: tuple[Clause, ...]


def _recall(
    document: Document, values: Values, version: str, in_time: Callable[[], bool] | None
) -> Evaluation:
    """Judge, or say again what was said when everything that counts was the same."""
    heard = document.clauses.ask(values, in_time)
    read = document.engine_reads(values)
    if heard.errors:
        return _judge(document, heard, Seen(*read), version)
    key = (version, heard.true, read)
    known = document.known_answers.get(key)
    if known is None:
        known = _judge(document, heard, Seen(*read), version)
        if len(document.known_answers) >= _MOST_KNOWN:
            document.known_answers.clear()
        document.known_answers[key] = known
    return known


def _judge(document: Document, heard: Heard, seen: Seen, version: str) -> Evaluation:
    trace = [_trace(document, rule, heard) for rule in document.rules]
    matched = [rule for rule, entry in zip(document.rules, trace, strict=True) if entry.matched]
    tier = _tier(document, heard, matched)
    failure = _failure(trace, tier, matched, seen)
    if failure:
        clauses = (*tier.errors, *(c for t in trace for c in t.clauses if c.outcome == "error"))
        trace.append(_engine_entry("fail-closed", failure, clauses))
        tier = replace(tier, number=HIGHEST_TIER, reason=failure)

    standing = _standing(matched, tier.number)  # none after a failure: that is tier 5
    covered = {covered: rule.id for rule in standing for covered in _covers(rule)}
    trace = [_covered(entry, covered) for entry in trace]
    counted = [rule for rule in matched if rule.id not in covered]
    verdict = _strictest(counted)
    if failure:
        verdict = max(verdict, Verdict.REQUIRE_APPROVAL, key=_STRICTNESS.__getitem__)

    cell = document.matrix.cell(tier.number, seen.action_type)
    categories = tuple(dict.fromkeys(c for rule in counted for c in rule.categories))
    if verdict == Verdict.ALLOW:
        objection = objection_to(tier.number, seen, cell, categories)
        if objection:
            trace.append(_engine_entry(objection.rule, objection.reason))
            verdict = Verdict.REQUIRE_APPROVAL
    requirements: tuple[RequirementSpec, ...] = ()
    if verdict == Verdict.REQUIRE_APPROVAL:
        people = document.matrix.people(tier.number, seen.action_type)
        requirements = _requirements(counted, people, tier.number)
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
        categories=categories,
        tier_reason=tier.reason,
        operating_model=cell.operating_model,
        pattern=_pattern(cell, requirements),
        failed_closed=failure,
        standing=tuple(rule.id for rule in standing),
    )


def _trace(document: Document, rule: Rule, heard: Heard) -> RuleTrace:
    bits = document.clauses.bits
    found = [heard.answer(text, bits[text]) for text in rule.when]
    key = (rule.id, *[answer.outcome for answer in found])
    trace = document.known_traces.get(key)
    if trace is None:
        clauses = tuple(
            Clause(text, answer.outcome, answer.detail)
            for text, answer in zip(rule.when, found, strict=True)
        )
        matched = all(answer.outcome == "true" for answer in found)
        trace = RuleTrace(rule.id, rule.owner, rule.reason, rule.effect, matched, clauses)
        if not heard.errors and len(document.known_traces) < _MOST_KNOWN:
            document.known_traces[key] = trace
    return trace


def _tier(document: Document, heard: Heard, matched: list[Rule]) -> _Tier:
    """The highest tier any tier rule gives, raised by the floors of matching rules."""
    bits = document.clauses.bits
    number, reason = -1, ""
    errors: list[Clause] = []
    for rule in document.tiers:
        found = [heard.answer(text, bits[text]) for text in rule.when]
        broken = [
            Clause(text, answer.outcome, answer.detail)
            for text, answer in zip(rule.when, found, strict=True)
            if answer.outcome == "error"
        ]
        errors += broken
        if rule.tier > number and all(answer.outcome == "true" for answer in found):
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


def _failure(trace: list[RuleTrace], tier: _Tier, matched: list[Rule], seen: Seen) -> str:
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
    if not seen.rate_known:
        return "There is no exchange rate for this currency, or it is too old."
    if not seen.preview_available:
        return "The target could not be read, so nobody knows what would change."
    return ""


def _standing(matched: list[Rule], tier: int) -> tuple[Rule, ...]:
    """The standing approvals that count: none against a denial, none from tier 4 on."""
    if tier >= LOWEST_TIER_NEVER_ALLOWED or _strictest(matched) == Verdict.DENY:
        return ()
    return tuple(rule for rule in matched if rule.standing)


def _covers(rule: Rule) -> tuple[str, ...]:
    return rule.standing.instead_of if rule.standing else ()


def _covered(entry: RuleTrace, covered: Mapping[str, str]) -> RuleTrace:
    if not entry.matched or entry.rule not in covered:
        return entry
    reason = f"{entry.reason} Covered by standing approval {covered[entry.rule]}."
    return replace(entry, reason=reason)


def _pattern(cell: Cell, requirements: tuple[RequirementSpec, ...]) -> str:
    """The cell's pattern, or the one of the people asked where rules ask others."""
    if requirements and cell.pattern in SHAPES:
        return shape_of(requirements)
    return cell.pattern


def _requirements(
    counted: list[Rule], people: tuple[RequirementSpec, ...], tier: int
) -> tuple[RequirementSpec, ...]:
    named = [spec for rule in counted for spec in rule.requirements]
    base = [*people, *named] if tier >= LOWEST_TIER_NEVER_ALLOWED else named or list(people)
    added = [spec for rule in counted for spec in rule.adds]
    return merged([*base, *added])


def _engine_entry(rule: str, reason: str, clauses: tuple[Clause, ...] = ()) -> RuleTrace:
    return RuleTrace(rule, ENGINE, reason, Verdict.REQUIRE_APPROVAL, True, clauses)
