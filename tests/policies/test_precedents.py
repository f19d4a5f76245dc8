"""Answers from memory are the engine's own: for every clause, and for whole documents."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.canonical import canonical
from policies.evaluate import evaluate
from policies.facts import Facts, declared
from policies.replay.precedents import Answered, Precedents, load
from tests.policies.make import DEFAULT_TEXT, SMALL, make_document, make_facts

_VALUES = {
    bool: st.booleans(),
    int: st.sampled_from([-5, -4, 0, 1, 99, 100, 101, 700, 701, 2**53 - 1]),
    float: st.sampled_from([-1.0, 0.0, 0.49, 0.5, 0.7, 1.0]),
    str: st.sampled_from(["", "refund.issue", "vendor.pay", "ASK-KISS", "as\u212a-\u212ai\u017fs",
                          "ask-kiss", "Ab c", "ab c", "\u0130s", "k\u0130ss"]),
    tuple: st.lists(st.sampled_from(["injection", "charge", "bidi"]), max_size=2).map(tuple),
}  # fmt: skip
_DEFAULT = make_document(DEFAULT_TEXT)
_ALL_FACTS = st.fixed_dictionaries(
    {name: st.just(fact.default) | _VALUES[fact.kind] for name, fact in declared().items()}
)
_KINDS_OF_ACTION = st.sampled_from(["refund.issue", "vendor.pay", "crm.tag", "robot.run", "x.y"])


@settings(max_examples=1_000, deadline=None)
@given(facts=_ALL_FACTS, kind=_KINDS_OF_ACTION)
def test_a_thousand_cases_are_answered_as_the_engine_answers_them(
    facts: dict[str, object], kind: str
) -> None:
    whole = Facts.from_flat({**facts, "action.type": kind})

    remembered = _PRECEDENTS.answer(load(canonical(whole.flat())))

    assert remembered == Answered.of(evaluate(_DEFAULT, whole, version="x"))


_PRECEDENTS = Precedents(_DEFAULT)

RENT = """\
rules:
- id: rent
  owner: head of finance
  reason: The rent, as agreed in January.
  when: ['action.type == "vendor.pay"', 'agent.name == "vendor.pay"', customer.known]
  effect: allow
  standing: {until: 2027-03-31, instead_of: [large]}
"""
_STANDING = make_document(SMALL.replace("rules:\n", RENT))
_DAYS = st.sampled_from(["", "2026-11-20", "2027-03-31", "2027-04-01", "2030-01-01"])
_STANDING_PRECEDENTS = Precedents(_STANDING)


@settings(max_examples=300, deadline=None)
@given(facts=_ALL_FACTS, day=_DAYS)
def test_standing_approvals_end_in_memory_too(facts: dict[str, object], day: str) -> None:
    whole = Facts.from_flat(
        {**facts, "action.type": "vendor.pay", "agent.name": "vendor.pay", "time.today": day}
    )

    remembered = _STANDING_PRECEDENTS.answer(load(canonical(whole.flat())))

    assert remembered == Answered.of(evaluate(_STANDING, whole, version="x"))


def test_facts_of_an_older_release_have_the_defaults_of_this_one() -> None:
    precedents = Precedents(make_document())

    answer = precedents.answer({"action.amount": 50})

    assert (answer.verdict, answer.matched) == ("allow", ("small",))


def test_facts_of_another_release_are_not_looked_at() -> None:
    facts = {**make_facts(action__amount=50).flat(), "moon.phase": "full"}

    precedents = Precedents(make_document())

    assert precedents.answer(facts).verdict == "allow"
    assert precedents.with_unknown_facts == 1


@pytest.mark.parametrize("value", ["50", True, 50.0, None, 2**63, [50]])
def test_a_fact_of_the_wrong_type_goes_to_people_even_after_its_twin_was_fine(
    value: object,
) -> None:
    precedents = Precedents(make_document())
    assert precedents.answer({"action.amount": 50}).verdict == "allow"

    answer = precedents.answer({"action.amount": value})

    assert (answer.verdict, answer.tier) == ("require_approval", 5)
    assert answer.failed_closed


def test_an_error_in_a_clause_is_asked_of_the_engine_every_time() -> None:
    broken = make_document(SMALL, ("action.amount <= 100", "100 / action.amount >= 1"))
    precedents = Precedents(broken)

    answers = [precedents.answer({"action.amount": amount}) for amount in (50, 0, 50)]

    assert [answer.verdict for answer in answers] == ["allow", "require_approval", "allow"]
    assert answers[1].failed_closed == "A condition of small could not be evaluated."


def test_facts_that_are_no_object_are_refused() -> None:
    for text in ("[]", "3", "{", ""):
        with pytest.raises(ValueError):  # noqa: PT011 - json's own is one too
            load(text)
    assert load(json.dumps({"a": 1})) == {"a": 1}
