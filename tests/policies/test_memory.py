"""What a document remembers is what it would say if asked afresh, of every value and kind."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.clauses.battery import Battery
from policies.clauses.cel import Activation, compile_clause
from policies.clauses.landmarks import Landmarks
from policies.evaluate import evaluate, evaluate_briefly, evaluate_flat
from policies.facts import Facts, FactValue, declared
from tests.policies.make import DEFAULT_TEXT, clean_refund, make_document, make_facts

DOCUMENT = make_document(DEFAULT_TEXT)
"""Shared by all examples: later ones meet what earlier ones left behind."""

NUMBERS = [0, 1, 2, 3, 4, 24_999, 25_000, 25_001, 50_000, 50_001, 200_000, 200_001, 500_000,
           500_001, 2_000_000, 2_000_001, -1, 2**63 - 1, -(2**63)]  # fmt: skip
TYPES = ["refund.issue", "vendor.pay", "crm.tag", "access.grant", "robot.run", "moon.launch", ""]
TEXTS = ["", "EUR", "USD", "x", "Domain-Admins", "irreversible", "2026-11-20"]


def values_of(name: str) -> st.SearchStrategy[FactValue]:
    kind = declared()[name].kind
    if name == "action.type":
        return st.sampled_from(TYPES)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.sampled_from(NUMBERS)
    if kind is float:
        return st.sampled_from([-1.0, -0.5, 0.0, -0.0, 0.69, 0.7, 0.71, 1.0])
    if kind is tuple:
        listed = st.lists(st.sampled_from(["charge", "injection", "bidi"]), max_size=2)
        return listed.map(tuple)
    return st.sampled_from(TEXTS)


CLEAN = clean_refund().flat()
changes = st.lists(
    st.sampled_from(DOCUMENT.clauses.names).flatmap(
        lambda name: st.tuples(st.just(name), values_of(name))
    ),
    max_size=8,
)


def changed_facts(several: list[tuple[str, FactValue]]) -> Facts:
    return Facts.from_flat({**CLEAN, **dict(several)})


@given(changes)
def test_every_clause_is_answered_as_cel_answers_it_afresh(
    several: list[tuple[str, FactValue]],
) -> None:
    facts = changed_facts(several)
    heard = DOCUMENT.clauses.ask(DOCUMENT.values(facts))
    activation = Activation.of(facts)

    for text, bit in DOCUMENT.clauses.bits.items():
        afresh = compile_clause(text, DOCUMENT.parameters).ask(activation)
        assert heard.answer(text, bit) == afresh, text


@given(changes)
def test_full_flat_and_brief_answers_are_one_answer(several: list[tuple[str, FactValue]]) -> None:
    facts = changed_facts(several)
    full = evaluate(DOCUMENT, facts, version="1")

    assert full == evaluate_flat(DOCUMENT, facts.flat(), version="1")
    assert full.failed_closed != "" or full.trace
    groups = tuple(sorted(spec.group for spec in full.requirements))
    assert evaluate_briefly(DOCUMENT, facts.flat()) == (full.verdict, full.tier, groups)


@given(changes)
def test_a_document_that_remembers_nothing_says_the_same(
    several: list[tuple[str, FactValue]],
) -> None:
    facts = changed_facts(several)
    DOCUMENT.known_answers.clear()
    fresh = evaluate(DOCUMENT, facts, version="1")

    assert evaluate(DOCUMENT, facts, version="1") == fresh


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
]
small = st.integers(-6, 13)


@given(
    st.lists(st.sampled_from(CLAUSES), min_size=1, unique=True),
    st.lists(
        st.tuples(small, small, small, small, small, st.sampled_from([0.0, 0.5, 0.9, 1.0])),
        min_size=2,
        max_size=6,
    ),
    st.booleans(),
)
def test_clauses_of_every_shape_are_remembered_by_what_matters_to_them(
    texts: list[str], rows: list[tuple[Any, ...]], known: bool
) -> None:
    parameters = (("ten", 10),)
    battery = Battery(texts, parameters, also=["action.type"])
    for amount, base, total, count, duplicates, confidence in rows:
        facts = make_facts(
            action__amount=amount,
            action__amount_base=base,
            velocity__target_sum_24h=total,
            velocity__target_count_24h=count,
            velocity__duplicates=duplicates,
            agent__confidence=confidence,
            customer__known=known,
        )
        flat = facts.flat()
        heard = battery.ask(tuple(flat[name] for name in battery.names))
        for text in texts:
            afresh = compile_clause(text, parameters).ask(Activation.of(facts))
            assert heard.answer(text, battery.bits[text]) == afresh, text


def test_a_fact_spelled_with_a_dot_in_front_is_remembered_by_its_value() -> None:
    """CEL takes `.action.amount` for the same fact; a ceiling written so must hold every time."""
    texts = ["action.amount > 5", ".action.amount > 100"]
    battery = Battery(texts)

    heard = [battery.ask((amount,)).true for amount in (50, 500)]

    assert heard == [0b01, 0b11]


GUARDED = [
    'action.type == "access.grant" && action.target.matches("(?i)domain")',
    'action.target.matches("(?i)domain") && action.type in ["access.grant", "access.revoke"]',
    'action.type == "access.grant" || action.target == "domain"',
    'action.type != "access.grant" && action.target == "domain"',
    '(action.type == "x" ? action.type : action.target) == "domain"',
    'action.type == "access.grant" && action.type == "x" && action.target != ""',
]


def test_what_is_asked_of_one_kind_of_action_only_is_answered_the_same_of_all() -> None:
    battery = Battery(GUARDED)
    for kind in ("access.grant", "access.revoke", "refund.issue", "x", ""):
        for target in ("domain", "Domain-Admins", "ch_1", ""):
            facts = make_facts(action__type=kind, action__target=target)
            flat = facts.flat()
            heard = battery.ask(tuple(flat[name] for name in battery.names))
            for text, bit in battery.bits.items():
                afresh = compile_clause(text).ask(Activation.of(facts))
                assert heard.answer(text, bit) == afresh, (text, kind, target)


def test_what_is_asked_of_one_kind_of_action_only_is_not_asked_of_others() -> None:
    """Targets are strangers' texts: every refund would ask CEL about its own."""
    battery = Battery([GUARDED[0]])
    for number in range(100):
        battery.ask(("refund.issue", f"charge ch_{number}"))
    battery.ask(("access.grant", "domain-admins"))

    assert [len(group.remembered) for _, group in battery._groups] == [1]


def test_only_what_is_just_compared_is_remembered_by_its_place() -> None:
    found = Landmarks(CLAUSES, {"ten": 10})

    assert set(found.scales) == {"agent.confidence"}
    assert ("action.amount", "velocity.target_sum_24h") in found.pairs


@pytest.mark.parametrize("value", [True, 1.0, "1", None, 2**63, -(2**63) - 1])
def test_a_value_that_is_no_number_of_cel_is_never_taken_for_one_that_is(value: object) -> None:
    assert evaluate(DOCUMENT, clean_refund(), version="1").failed_closed == ""

    found = evaluate_flat(DOCUMENT, {**CLEAN, "action.amount": value}, version="1")

    assert "action.amount is a whole number" in found.failed_closed


@pytest.mark.parametrize("value", [math.nan, True, "0.9"])
def test_a_confidence_that_is_none_is_never_taken_for_one(value: object) -> None:
    found = evaluate_flat(DOCUMENT, {**CLEAN, "agent.confidence": value}, version="1")

    assert "agent.confidence is a decimal number" in found.failed_closed


def test_stored_whole_numbers_stand_for_decimal_ones() -> None:
    stored = evaluate_flat(DOCUMENT, {**CLEAN, "agent.confidence": -1}, version="1")

    assert stored == evaluate(DOCUMENT, clean_refund(), version="1")
