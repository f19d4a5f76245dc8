"""What does policy say? Pure: a document and facts in, an `Evaluation` out. No clock, no database.

The strictest matching rule wins. Whatever keeps policy from knowing (an error in a clause, facts of
the wrong type, no rate for a currency, nothing matching, no time left, a broken document) requires
people at the highest tier. So does a target nobody could read. What every rule allows meets the
matrix last: its objections keep an action from running without people. Over a step of a plan the
highest tier and the strictest verdict of all steps govern; the evidence is asked for by its own.

The rules of a floor count like the document's own, and nothing in the document takes from them: no
standing approval stands in for one. Nor do they take from it: they never count as the rule or tier
whose absence sends a request to people.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from policies.cel.rule_set import Answers, OutOfTime, Values
from policies.document import READ_BY_THE_ENGINE, Document, Rule, TierRule
from policies.evidence import unmet
from policies.facts import FactError, Facts
from policies.matrix import RUNS_BY_ITSELF, SHAPES, Cell, OperatingModel, Pattern, guarded, shape_of
from policies.quorum import merged_requirements
from policies.verdicts import (
    HIGHEST_TIER,
    Clause,
    Deadlines,
    Evaluation,
    RequirementSpec,
    RuleTrace,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the engine looks at by itself, in the order of READ_BY_THE_ENGINE."""

    action_type: str
    reversibility: str
    rate_known: bool
    preview_available: bool
    supervised: bool
    evidence_kinds: tuple[str, ...]
    evidence_from_people: tuple[str, ...]
    evidence_supplied: tuple[str, ...]
    evidence_flags: tuple[str, ...]
    sample: int = 99
    plan_tier: int = 0
    plan_verdict: str = Verdict.ALLOW.value
    triggers: tuple[str, ...] = ()
    execution: str = "connector"


@dataclass(frozen=True, slots=True)
class Objection:
    rule: str
    reason: str


def objection_to(
    tier: int, seen: Seen, cell: Cell, categories: tuple[str, ...]
) -> Objection | None:
    """The first reason against running without people; None when there is none."""
    missing = unmet(
        cell.evidence,
        read=seen.evidence_kinds,
        from_people=seen.evidence_from_people,
        supplied=seen.evidence_supplied,
    )
    is_irreversible = seen.reversibility == "irreversible"
    never = [
        (seen.supervised, "A person starts this and watches; it never runs by itself."),
        (cell.always_people, f"Tier {tier} never runs without people."),
        (
            cell.operating_model not in RUNS_BY_ITSELF,
            f"This kind of action is {cell.operating_model}: it never runs by itself.",
        ),
        (
            cell.operating_model == OperatingModel.CONTROLLED_AUTONOMY and is_irreversible,
            "What cannot be undone never runs under controlled autonomy.",
        ),
        (bool(missing), f"Required evidence is missing: {', '.join(missing)}."),
    ]
    for holds, reason in never:
        if holds:
            return Objection("never-automatic", reason)
    if seen.triggers:
        return Objection(
            "triggered",
            f"People look at everything of it since {' and '.join(seen.triggers)} fired.",
        )
    if cell.pattern == Pattern.EXCEPTION_ONLY and (categories or seen.evidence_flags):
        found = ", ".join((*categories, *seen.evidence_flags))
        return Objection("exception", f"It runs by itself unless something is odd: {found}.")
    if cell.pattern == Pattern.SAMPLED and seen.sample < cell.sample_percent:
        share = f"{cell.sample_percent} in 100"
        return Objection("sampled", f"People look at {share} of what runs; this is one of them.")
    return None


logger = logging.getLogger(__name__)

ONE_HIGHER = "One tier higher: the agent carries it out itself, and nobody reads it back."
ENGINE = "countersign"
"""Owner of the trace entries no document wrote."""
_OF_PLAN = {
    Verdict.REQUIRE_APPROVAL: "Another step of its plan needs people.",
    Verdict.DENY: "Another step of its plan is denied.",
}
_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_STRICTNESS = {verdict: rank for rank, verdict in enumerate(Verdict)}

BUILT_IN_HIGHEST = Cell(
    requirements=(
        RequirementSpec("operations"),
        RequirementSpec("manager", escalates_to="executive"),
    ),
    evidence=(),
    deadlines=Deadlines(decide_by=timedelta(hours=1), execute_by=timedelta(hours=2)),
    reason_required=True,
    always_people=True,
    step_up=True,
    sign_off=True,
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
    """Evaluate policy for one request; a floor by itself says what it would add to any.

    Never raises for what document or facts hold: it fails closed instead.

    `in_time` is asked before each crossing into CEL; once it says no, people decide.
    """
    whole = document.alone if document.is_floor else document
    return _safely(
        lambda: _evaluate(whole, whole.rule_set.values(facts), version, in_time), version
    )


def evaluate_stored(
    document: Document, facts: Mapping[str, object], *, version: str, with_clauses: bool = True
) -> Evaluation:
    """The same for flat facts, as stored with every decision.

    Facts not named have their defaults. Without clauses the trace has the rules that matched only,
    and none of their clauses: for whoever evaluates many and shows no trace.
    """
    whole = document.alone if document.is_floor else document
    return _safely(
        lambda: _evaluate(
            whole,
            whole.rule_set.stored_values(facts),
            version,
            with_clauses=with_clauses,
        ),
        version,
    )


def fail_closed(reason: str, *, version: str = "") -> Evaluation:
    """The answer when policy cannot answer: people decide, at the highest tier."""
    cell = BUILT_IN_HIGHEST
    return Evaluation(
        verdict=Verdict.REQUIRE_APPROVAL,
        tier=HIGHEST_TIER,
        requirements=cell.requirements,
        deadlines=cell.deadlines,
        evidence_required=cell.evidence,
        reason_required=cell.reason_required,
        window=cell.window,
        trace=(_engine_entry("fail-closed", reason),),
        version=version,
        tier_reason=reason,
        operating_model=cell.operating_model,
        pattern=cell.pattern,
        failed_closed=reason,
        step_up=cell.step_up,
        sign_off=cell.sign_off,
    )


def _safely(evaluation: Callable[[], Evaluation], version: str) -> Evaluation:
    try:
        return evaluation()
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


def _evaluate(
    document: Document,
    values: Values,
    version: str,
    in_time: Callable[[], bool] | None = None,
    *,
    with_clauses: bool = True,
) -> Evaluation:
    answers = document.rule_set.ask(values, in_time)
    seen = Seen(*(values[name] for name in READ_BY_THE_ENGINE))
    matched = [rule for rule in document.rules if answers.hold(rule.when)]
    floor = [rule for rule in document.floor_rules if answers.hold(rule.when)]
    tier = _tier(document, answers, [*matched, *floor])
    engine: list[RuleTrace] = []
    failure = _failure(document, answers, tier, matched, seen)
    if failure:
        rules: list[Rule | TierRule] = [*document.tiers, *document.rules]
        errors = _errors(answers, [*rules, *document.floor_tiers, *document.floor_rules])
        engine.append(_engine_entry("fail-closed", failure, errors))
        tier = _Tier(HIGHEST_TIER, failure)
    above = min(tier.number + 1, HIGHEST_TIER)
    if seen.execution == "agent" and above > tier.number:
        tier = _Tier(above, f"{tier.reason} {ONE_HIGHER}")
    own = cell = guarded(document.matrix.cell(tier.number, seen.action_type), tier.number)
    if (highest := min(seen.plan_tier, HIGHEST_TIER)) > tier.number:
        tier = _Tier(highest, "The highest tier of the plan's steps governs all of them.")
        cell = guarded(document.matrix.cell(tier.number, seen.action_type), tier.number)
        # what there is to know about a step depends on what it does, not on its company
        cell = replace(cell, evidence=own.evidence)
    standing = _standing(matched, floor, cell)  # none after a failure: that is the highest tier
    covered = {covered: rule.id for rule in standing for covered in _covers(rule)}
    counted = [*(rule for rule in matched if rule.id not in covered), *floor]
    verdict = _strictest(counted)
    if failure:
        verdict = max(verdict, Verdict.REQUIRE_APPROVAL, key=_STRICTNESS.__getitem__)

    of_plan = _VERDICTS.get(seen.plan_verdict, Verdict.REQUIRE_APPROVAL)
    if _STRICTNESS[verdict] < _STRICTNESS[of_plan]:
        engine.append(replace(_engine_entry("plan", _OF_PLAN[of_plan]), effect=of_plan))
        verdict = of_plan

    categories = tuple(dict.fromkeys(c for rule in counted for c in rule.categories))
    if verdict == Verdict.ALLOW:
        objection = objection_to(tier.number, seen, cell, categories)
        if objection:
            engine.append(_engine_entry(objection.rule, objection.reason))
            verdict = Verdict.REQUIRE_APPROVAL
    requirements: tuple[RequirementSpec, ...] = ()
    if verdict == Verdict.REQUIRE_APPROVAL:
        people = document.matrix.people(tier.number, seen.action_type)
        requirements = _requirements(counted, people, cell)
    trace = [
        _trace(rule, answers, covered, with_clauses=with_clauses)
        for rule in (document.rules if with_clauses else matched)
    ]
    trace += [
        _of_floor(_trace(rule, answers, {}, with_clauses=with_clauses))
        for rule in (document.floor_rules if with_clauses else floor)
    ]
    return Evaluation(
        verdict=verdict,
        tier=tier.number,
        requirements=requirements,
        deadlines=cell.deadlines,
        evidence_required=cell.evidence,
        reason_required=cell.reason_required,
        window=cell.window,
        trace=(*trace, *engine),
        version=version,
        categories=categories,
        tier_reason=tier.reason,
        operating_model=cell.operating_model,
        pattern=_pattern(cell, requirements),
        failed_closed=failure,
        standing=tuple(rule.id for rule in standing),
        step_up=cell.step_up,
        sign_off=cell.sign_off,
        recall_seconds=cell.recall_seconds,
        floor=document.floor_label,
    )


FLOOR = "floor."
"""What the ids of a floor's rules begin with, where they stand beside a version's."""


def _of_floor(trace: RuleTrace) -> RuleTrace:
    return replace(trace, rule=f"{FLOOR}{trace.rule}")


def _trace(
    rule: Rule, answers: Answers, covered: Mapping[str, str], *, with_clauses: bool
) -> RuleTrace:
    matched = answers.hold(rule.when)
    reason = rule.reason
    if matched and rule.id in covered:
        reason = f"{reason} Covered by standing approval {covered[rule.id]}."
    clauses = tuple(map(answers.of, _asked(rule, answers))) if with_clauses else ()
    return RuleTrace(rule.id, rule.owner, reason, rule.effect, matched, clauses)


def _errors(answers: Answers, rules: Iterable[Rule | TierRule]) -> tuple[Clause, ...]:
    """Every clause of these rules that came to an error."""
    texts = dict.fromkeys(text for rule in rules for text in _asked(rule, answers))
    return tuple(answers.errors[text] for text in texts if text in answers.errors)


def _asked(rule: Rule | TierRule, answers: Answers) -> tuple[str, ...]:
    """Its clauses; of a rule about other types of action, only the one that says so."""
    is_elsewhere = isinstance(rule, Rule) and rule.on and not answers.hold(rule.when[:1])
    return rule.when[:1] if is_elsewhere else rule.when


def _tier(document: Document, answers: Answers, matched: list[Rule]) -> _Tier:
    """The highest tier any tier rule gives, raised by the floors of matching rules."""
    number, reason = -1, ""
    for rule in document.tiers:
        if rule.tier > number and answers.hold(rule.when):
            number, reason = rule.tier, rule.reason
    if number < 0:
        return _Tier(HIGHEST_TIER, "")
    at_least: list[Rule | TierRule] = [*matched]
    at_least += [one for one in document.floor_tiers if answers.hold(one.when)]
    for floor in at_least:
        if floor.tier > number:
            number, reason = floor.tier, floor.reason
    return _Tier(number, reason)


def _strictest(matched: Iterable[Rule]) -> Verdict:
    return max(
        (rule.effect for rule in matched), key=_STRICTNESS.__getitem__, default=Verdict.ALLOW
    )


def _failure(
    document: Document, answers: Answers, tier: _Tier, matched: list[Rule], seen: Seen
) -> str:
    """Why policy cannot know, in one sentence; empty when it can."""
    if answers.errors:
        rules = [(rule.id, rule) for rule in document.rules]
        rules += [(f"{FLOOR}{rule.id}", rule) for rule in document.floor_rules]
        broken = [name for name, rule in rules if _errors(answers, [rule])]
        if broken:
            return f"A condition of {', '.join(broken)} could not be evaluated."
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


def _standing(matched: list[Rule], floor: list[Rule], cell: Cell) -> tuple[Rule, ...]:
    """The standing approvals that count: none against a denial, none where people always decide."""
    if cell.always_people or _strictest([*matched, *floor]) == Verdict.DENY:
        return ()
    return tuple(rule for rule in matched if rule.standing)


def _covers(rule: Rule) -> tuple[str, ...]:
    return rule.standing.instead_of if rule.standing else ()


def _pattern(cell: Cell, requirements: tuple[RequirementSpec, ...]) -> str:
    """The cell's pattern, or the one of the people asked where rules ask others."""
    if requirements and cell.pattern in SHAPES:
        return shape_of(requirements)
    return cell.pattern


def _requirements(
    counted: list[Rule], people: tuple[RequirementSpec, ...], cell: Cell
) -> tuple[RequirementSpec, ...]:
    named = [spec for rule in counted for spec in rule.requirements]
    base = [*people, *named] if cell.always_people else named or list(people)
    added = [spec for rule in counted for spec in rule.adds]
    return merged_requirements([*base, *added])


def _engine_entry(rule: str, reason: str, clauses: tuple[Clause, ...] = ()) -> RuleTrace:
    return RuleTrace(rule, ENGINE, reason, Verdict.REQUIRE_APPROVAL, True, clauses)
