"""Asking all clauses at once gives what asking each by itself gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.cel.compiler import Activation, ClauseError, compile_clause
from policies.cel.rule_set import RuleSet
from policies.facts import FactError, Facts
from policies.verdicts import Clause
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


def answers_of(texts: list[str], facts: Facts) -> dict[str, Clause]:
    """Every clause's answer, by its text, from a rule set of them all."""
    rule_set = RuleSet(texts)
    answers = rule_set.ask(rule_set.values(facts))
    return {text: answers.of(text) for text in texts}


@given(
    st.lists(st.sampled_from(CLAUSES), min_size=1, max_size=6),
    st.sampled_from([0, 1, 100, 101, 2**62]),
    st.booleans(),
)
def test_together_or_one_by_one_the_answers_are_the_same(
    texts: list[str], amount: int, known: bool
) -> None:
    facts = make_facts(action__amount=amount, customer__known=known)
    alone = {text: compile_clause(text).ask(Activation.of(facts)) for text in texts}

    assert answers_of(texts, facts) == alone


def test_more_clauses_than_cel_takes_together_are_asked_one_by_one() -> None:
    texts = [f"action.amount != {number}{' ' * 1_900}" for number in range(200)]

    answers = answers_of(texts, make_facts(action__amount=7))

    assert [text.split()[2] for text in texts if answers[text].outcome == "false"] == ["7"]


def test_no_clause_reaches_into_its_neighbour() -> None:
    for text in ("true), (false", "true // ) ]\n) || (true", "", "true]"):
        with pytest.raises(ClauseError):
            compile_clause(text)


def test_what_takes_too_long_is_an_error_and_not_an_answer() -> None:
    condition = compile_clause('evidence.flags.all(f, f != "")')
    many = Activation.of(make_facts(evidence__flags=["x"] * 20_000))

    assert condition.ask(many).outcome == "error"


ONES = "[" + ",".join(["1"] * 100) + "]"
HOSTILE = {
    "minutes of patterns": f"{ONES}.all(x, {ONES}.all(y, action.target.matches('(a?)+b')))",
    "a pattern for each entry": "evidence.flags.exists(f, f.matches('a'))",
    "a pattern put together": "action.target.matches('a' + action.target)",
    "a pattern as a function": "matches(action.target, action.target)",
    "a pattern that counts": "action.target.matches('((a?){1,30}){1,30}b')",
    "one that counts in disguise": "action.target.matches('a\\x7b1,1000}')",
    "a pattern of whole alphabets": "action.target.matches('\\\\pL')",
    "a long pattern": f"action.target.matches('{'a' * 200}')",
    "many patterns": " || ".join(["action.target.matches('a')"] * 3),
    "a list doubled": "evidence.flags" + ".map(x, x + x)" * 27 + ".size() > 0",
    "a list sifted": "evidence.flags.filter(x, true).size() > 0",
    "one round in another": f"{ONES}.all(x, {ONES}.all(y, true))",
    "many rounds": " && ".join(["evidence.flags.all(x, true)"] * 3),
    "hidden behind a raw text": r'r"\" == "" || evidence.flags.map(x, x) == [] || r"\" == ""',
    "hidden behind a remark": 'evidence.flags . // "\n map (x, x) == []',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_clause_that_could_hang_a_worker_is_refused_when_it_is_written(text: str) -> None:
    with pytest.raises(ClauseError):
        compile_clause(text)


def test_the_refusal_points_at_what_takes_long_and_says_what_to_do() -> None:
    with pytest.raises(ClauseError, match="compare with ==") as refused:
        compile_clause("evidence.flags.exists(f,\n  f.matches('a'))")

    assert (refused.value.line, refused.value.column) == (2, 5)


@pytest.mark.parametrize(
    "text",
    [
        "action.target.matches('(?i)domain-admins') || action.counterparty.matches('^x$')",
        "evidence.flags.exists(f, f == 'bidi') && evidence.kinds.all(k, k != '')",
        "action.target == 'x.map(y, y)'",
    ],
)
def test_ordinary_patterns_and_rounds_are_fine(text: str) -> None:
    assert compile_clause(text).ask(Activation.of(Facts())).outcome in {"true", "false"}


def test_a_parameter_is_a_number_of_the_document_and_nothing_else() -> None:
    small = compile_clause("action.amount <= param.most", (("most", 5),))
    large = compile_clause("action.amount <= param.most", (("most", 2**63 - 1),))
    five = Activation.of(make_facts(action__amount=6))

    assert (small.ask(five).outcome, large.ask(five).outcome) == ("false", "true")
    with pytest.raises(ClauseError, match=r"of this document\. Did you mean"):
        compile_clause("action.amount <= param.mots", (("most", 5),))
    with pytest.raises(ClauseError, match="not a parameter"):
        compile_clause("action.amount <= param.most")


def test_what_was_said_about_one_value_is_not_said_about_another_type_of_it() -> None:
    rule_set = RuleSet(["action.amount == 1"])
    assert rule_set.ask({"action.amount": 1}).hold(["action.amount == 1"])

    for value in (True, 1.0):
        with pytest.raises(FactError, match="a whole number"):
            rule_set.ask({"action.amount": value})


def test_a_fact_spelled_with_a_dot_in_front_is_the_same_fact() -> None:
    rule_set = RuleSet(["action.amount > 5", ".action.amount > 100"])

    found = [rule_set.ask({"action.amount": amount}).true for amount in (50, 500)]

    assert rule_set.names == ("action.amount",)
    assert found == [{"action.amount > 5"}, {"action.amount > 5", ".action.amount > 100"}]


def test_a_clause_has_a_longest_length() -> None:
    with pytest.raises(ClauseError, match="at most 2,000 characters"):
        compile_clause("true" + " " * 2_000)
