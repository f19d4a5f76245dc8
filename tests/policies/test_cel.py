"""Asking all clauses at once gives what asking each by itself gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.cel import Activation, Battery, ClauseError, compile_clause
from policies.facts import Facts
from tests.policies.make import make_facts

CLAUSES = [
    "true",
    "action.amount > 100",
    "action.amount > 100 // a remark",
    "100 / action.amount > 1",
    "customer.known || 1 / action.amount == 1",
    '"injection" in evidence.flags',
    "evidence.flags.exists(flag, flag == 'bidi')",
    "action.target.matches('^a+$')",
    "action.amount * 9223372036854775807 > 1",
]


@given(
    st.lists(st.sampled_from(CLAUSES), min_size=1, max_size=6),
    st.sampled_from([0, 1, 100, 101, 2**62]),
    st.booleans(),
)
def test_together_or_one_by_one_the_answers_are_the_same(
    texts: list[str], amount: int, known: bool
) -> None:
    facts = Activation.of(make_facts(action__amount=amount, customer__known=known))

    assert Battery(texts).ask(facts) == {text: compile_clause(text).ask(facts) for text in texts}


def test_more_clauses_than_cel_takes_together_are_asked_one_by_one() -> None:
    texts = [f"action.amount != {number}{' ' * 1_900}" for number in range(200)]
    facts = Activation.of(make_facts(action__amount=7))

    answers = Battery(texts).ask(facts)

    assert [text.split()[2] for text in texts if answers[text].outcome == "false"] == ["7"]


def test_no_clause_reaches_into_its_neighbour() -> None:
    for text in ("true), (false", "true // ) ]\n) || (true", "", "true]"):
        with pytest.raises(ClauseError):
            compile_clause(text)


def test_what_takes_too_long_is_an_error_and_not_an_answer() -> None:
    many = "[" + ",".join("1" * 1 for _ in range(300)) + "]"
    condition = compile_clause(f"{many}.all(x, {many}.all(y, {many}.all(z, true)))")

    assert condition.ask(Activation.of(Facts())).outcome == "error"


def test_a_clause_has_a_longest_length() -> None:
    with pytest.raises(ClauseError, match="at most 2,000 characters"):
        compile_clause("true" + " " * 2_000)
