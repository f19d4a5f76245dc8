"""One CEL program for all clauses says what asking each by itself says, whatever the facts."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import patterns
from policies.cel.compiler import Activation, compile_clause
from policies.cel.rule_set import RuleSet
from policies.document import Document
from policies.evaluate import ENGINE, evaluate, evaluate_stored
from policies.facts import Facts, FactValue, declared
from policies.replay.backtest import Said, load
from policies.verdicts import Clause, RuleTrace, Verdict
from tests.policies.make import DEFAULT_TEXT, SMALL, clean_refund, make_document, make_facts
from tests.trials import trials

DEFAULT = make_document(DEFAULT_TEXT)
RENT = """\
rules:
- id: rent
  owner: head of finance
  reason: The rent, as agreed in January.
  when: ['action.type == "vendor.pay"', 'agent.name == "vendor.pay"', customer.known]
  effect: allow
  standing: {until: 2027-03-31, instead_of: [large]}
"""
STANDING = make_document(SMALL.replace("rules:\n", RENT))
BROKEN = make_document(
    SMALL,
    ("[action.amount > 100]", "[action.amount > 100, 100 / velocity.duplicates > 0]"),
    ("tiers:\n", "tiers:\n- {tier: 4, reason: Odd., when: ['7 / action.amount == 1']}\n"),
)
DOCUMENTS = st.sampled_from([DEFAULT, DEFAULT, STANDING, BROKEN])

VALUES: dict[type, st.SearchStrategy[FactValue]] = {
    bool: st.booleans(),
    int: st.sampled_from([0, 1, 2, 3, 4, 24_999, 25_000, 25_001, 50_000, 50_001, 200_000, 200_001,
                          500_000, 500_001, 2_000_000, 2_000_001, -1, 2**63 - 1, -(2**63)]),
    float: st.sampled_from([-1.0, -0.5, 0.0, -0.0, 0.49, 0.69, 0.7, 0.71, 1.0]),
    str: st.sampled_from(["", "EUR", "USD", "refund.issue", "vendor.pay", "Domain-Admins",
                          "irreversible", "ask-kiss", "as\u212a-\u212ai\u017fs", "\u0130s"]),
    tuple: st.lists(st.sampled_from(["charge", "injection", "bidi"]), max_size=2).map(tuple),
}  # fmt: skip
KINDS_OF_ACTION = st.sampled_from(
    [
        "refund.issue",
        "vendor.pay",
        "crm.tag",
        "access.grant",
        "robot.run",
        "moon.launch",
        "",
        "email.send",
        "order.correct",
    ]
)
DAYS = st.sampled_from(["", "2026-11-20", "2027-03-31", "2027-04-01", "2030-01-01"])
CLEAN = clean_refund().flat()
CASES = st.fixed_dictionaries(
    {},
    optional={
        "params": st.sampled_from([{}, {"subject": "", "body": "40 EUR"},
                                   {"subject": "", "body": 7}, {"subject": "", "body": "Hello"},
                                   {"fields": {"status": "cancelled"}}, {"fields": {}}]),
        "before": st.sampled_from([{}, {"status": "paid"}, {"status": "cancelled"}]),
    },
)  # fmt: skip
FACTS = st.builds(
    lambda some, case, kind, day: Facts.from_flat(
        {**CLEAN, **some, **case, "action.type": kind, "time.today": day}
    ),
    st.fixed_dictionaries(
        {}, optional={name: VALUES[fact.kind] for name, fact in declared().items()}
    ),
    CASES,
    KINDS_OF_ACTION,
    DAYS,
)


def clause_by_clause(document: Document, facts: Facts) -> tuple[RuleTrace, ...]:
    """Every rule's trace, each clause compiled and asked alone with all the facts there are."""
    activation = Activation.of(facts)
    traces = []
    for rule in document.rules:
        covers = any(patterns.applies(one, facts.action.type) for one in rule.on or ["*"])
        clauses = tuple(
            compile_clause(text, document.parameters, with_case=True).ask(activation)
            for text in (rule.when if covers else rule.when[:1])
        )
        matched = all(clause.outcome == "true" for clause in clauses)
        traces.append(RuleTrace(rule.id, rule.owner, rule.reason, rule.effect, matched, clauses))
    return tuple(traces)


def at_least(document: Document, traces: tuple[RuleTrace, ...]) -> Verdict:
    """The strictest effect of the rules that match; people where nobody can tell."""
    rules = {rule.id: rule for rule in document.rules}
    matched = [rules[trace.rule] for trace in traces if trace.matched]
    if any(rule.effect == Verdict.DENY for rule in matched):
        return Verdict.DENY
    errors = any(clause.outcome == "error" for trace in traces for clause in trace.clauses)
    covered = {id for rule in matched if rule.standing for id in rule.standing.instead_of}
    asking = [r for r in matched if r.effect == Verdict.REQUIRE_APPROVAL and r.id not in covered]
    return Verdict.REQUIRE_APPROVAL if errors or asking or not matched else Verdict.ALLOW


@settings(max_examples=trials(300))
@given(document=DOCUMENTS, facts=FACTS)
def test_verdict_and_trace_are_those_of_asking_clause_by_clause(
    document: Document, facts: Facts
) -> None:
    expected = clause_by_clause(document, facts)

    found = evaluate(document, facts, version="1")

    told = [trace for trace in found.trace if trace.owner != ENGINE]
    assert [(t.rule, t.owner, t.effect, t.matched, t.clauses) for t in told] == [
        (t.rule, t.owner, t.effect, t.matched, t.clauses) for t in expected
    ]
    for trace, plain in zip(told, expected, strict=True):
        assert trace.reason.removeprefix(plain.reason).split()[:3] in (
            [],
            ["Covered", "by", "standing"],
        )
    strictness = list(Verdict)
    least = at_least(document, expected)
    objected = found.trace[-1].owner == ENGINE
    assert strictness.index(found.verdict) >= strictness.index(least)
    assert objected or found.verdict == least


@settings(max_examples=trials(300))
@given(document=DOCUMENTS, facts=FACTS)
def test_stored_facts_are_answered_as_fresh_ones_with_clauses_and_without(
    document: Document, facts: Facts
) -> None:
    stored = load(json.dumps(facts.flat()))
    full = evaluate(document, facts, version="1")

    brief = evaluate_stored(document, stored, version="1", with_clauses=False)

    assert evaluate_stored(document, stored, version="1") == full
    assert Said.of(brief) == Said.of(full)
    assert brief.failed_closed == full.failed_closed
    assert [(t.rule, t.reason) for t in brief.trace] == [(t.rule, t.reason) for t in full.matched]


CLAUSES = [
    "action.amount > 10",
    "action.amount <= param.ten && action.amount != 3",
    "action.amount * 2 > 10",
    "velocity.target_sum_24h > action.amount",
    "velocity.target_sum_24h == action.amount_base || action.amount_base > 5",
    "100 / action.amount_base > 1",
    "10 > velocity.target_count_24h",
    "(action.amount > 10) == customer.known",
    "action.amount > -3 ? customer.known : action.amount == -5",
    "[action.amount > 2, customer.known].exists(x, x)",
    "agent.confidence >= 0.5 && agent.confidence < 1.0",
    "velocity.duplicates in [1, 5]",
    ".velocity.target_sum_24h > 7",
    'action.type == "access.grant" && action.target.matches("(?i)domain")',
    'action.target.matches("(?i)domain") && action.type in ["access.grant", "access.revoke"]',
    'action.type == "access.grant" || action.target == "domain"',
    '(action.type == "x" ? action.type : action.target) == "domain"',
]
small = st.integers(-6, 13)


@settings(deadline=None)
@given(
    texts=st.lists(st.sampled_from(CLAUSES), min_size=1, unique=True),
    numbers=st.tuples(small, small, small, small, small, st.sampled_from([0.0, 0.5, 0.9, 1.0])),
    known=st.booleans(),
    kind=st.sampled_from(["access.grant", "access.revoke", "refund.issue", "x", ""]),
    target=st.sampled_from(["domain", "Domain-Admins", "ch_1", ""]),
)
def test_clauses_of_every_shape_are_answered_as_cel_answers_them_alone(
    texts: list[str], numbers: tuple[int, int, int, int, int, float], known: bool, kind: str,
    target: str,
) -> None:  # fmt: skip
    amount, base, total, count, duplicates, confidence = numbers
    facts = make_facts(
        action__type=kind,
        action__target=target,
        action__amount=amount,
        action__amount_base=base,
        velocity__target_sum_24h=total,
        velocity__target_count_24h=count,
        velocity__duplicates=duplicates,
        agent__confidence=confidence,
        customer__known=known,
    )
    parameters = (("ten", 10),)
    rule_set = RuleSet(texts, parameters)

    answers = rule_set.ask(rule_set.values(facts))

    for text in texts:
        alone = compile_clause(text, parameters).ask(Activation.of(facts))
        assert answers.of(text) == alone, text


def test_an_error_is_told_though_another_clause_of_its_rule_is_false() -> None:
    """CEL's own && would say false and hide it; then nobody would be asked."""
    document = make_document(
        SMALL, ("[action.amount > 100]", "[action.amount > 100, 100 / action.amount == 1]")
    )

    found = evaluate(document, make_facts(action__amount=0), version="1")

    assert found.failed_closed == "A condition of large could not be evaluated."
    assert Clause("action.amount > 100", "false") in found.trace[1].clauses


# --- What is no fact ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, 1.0, "1", None, 2**63, -(2**63) - 1, [50]])
def test_a_value_that_is_no_number_of_cel_is_never_taken_for_one_that_is(value: object) -> None:
    assert evaluate(DEFAULT, clean_refund(), version="1").failed_closed == ""

    found = evaluate_stored(DEFAULT, {**CLEAN, "action.amount": value}, version="1")

    assert (found.verdict, found.tier) == ("require_approval", 5)
    assert "action.amount is a whole number" in found.failed_closed


@pytest.mark.parametrize("value", [math.nan, True, "0.9"])
def test_a_confidence_that_is_none_is_never_taken_for_one(value: object) -> None:
    found = evaluate_stored(DEFAULT, {**CLEAN, "agent.confidence": value}, version="1")

    assert "agent.confidence is a decimal number" in found.failed_closed


@pytest.mark.parametrize("value", ["bidi", ["bidi", 3], [None], {"bidi": 1}, 3])
def test_a_list_of_anything_but_texts_is_no_fact(value: object) -> None:
    found = evaluate_stored(DEFAULT, {**CLEAN, "evidence.flags": value}, version="1")

    assert "evidence.flags is a list of texts" in found.failed_closed


def test_stored_whole_numbers_stand_for_decimal_ones() -> None:
    stored = evaluate_stored(DEFAULT, {**CLEAN, "agent.confidence": -1}, version="1")

    assert stored == evaluate(DEFAULT, clean_refund(), version="1")
