"""A document's own numbers and kinds of exception: named once, used by name."""

from __future__ import annotations

import pytest

from policies.parsing.yaml_source import DocumentError
from policies.static_analysis.lint import failed_tests
from tests.policies.make import SMALL, changed, make_document
from tests.policies.test_document import place_of, problems_of

PARAMETERS = "parameters: {small: 100, large: 50000}\n"
PARAMETRISED = PARAMETERS + changed(
    SMALL,
    ("[action.amount <= 100]", "[action.amount <= param.small]"),
    ("[action.amount > 100]", "[action.amount > param.small]"),
    ("Large amounts need", "Above {small EUR} ({small}) amounts need"),
    ("Moves money.", "Moves up to {large EUR}."),
)
MOVING = """\
tests:
- name: the most that runs
  facts: {action.amount: param.small}
  expect: {verdict: allow}
- name: one more
  facts: {action.amount: param.small + 1}
  expect: {verdict: require_approval}
- name: one less
  facts: {action.amount: param.small - 1}
  expect: {verdict: allow}
"""


@pytest.mark.parametrize(("old", "new", "amount"), [("", "", "1.00"), ("100,", "7000,", "70.00")])
def test_a_parameter_is_changed_in_one_place(old: str, new: str, amount: str) -> None:
    document = make_document(PARAMETRISED + MOVING, (f"small: {old}", f"small: {new}"))

    assert failed_tests(document) == ()
    number = int(amount.replace(".", ""))
    assert document.rules[1].reason == f"Above {amount} EUR ({number}) amounts need finance."
    assert document.tiers[0].reason == "Moves up to 500.00 EUR."


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ("small: 100", "small: 1.5", "parameters.small", "a whole number"),
        ("small: 100", "small: 9223372036854775808", "parameters.small", "a whole number"),
        ("small: 100", "small: 0100", "parameters.small", "a whole number"),  # YAML's 64
        ("small: 100", "small: 1:40", "parameters.small", "a whole number"),  # and its 100
        ("large: 50000", "Large: 1", "parameters.Large", "small letters, digits and _"),
        ("large: 50000", "in: 1", "parameters.in", "not a name"),
        ("param.small]", "param.smal]", "rules[0].when[0]", "Did you mean 'param.small'?"),
        ("{small EUR}", "{smal EUR}", "rules[1].reason", "Did you mean 'small'?"),
        ("{small EUR}", "{small EURO}", "rules[1].reason", "EURO"),
        ("param.small + 1", "param.smal + 1", "tests[1].facts.action.amount", "Did you mean"),
        ("param.small + 1", "param.small * 2", "tests[1].facts.action.amount", "a whole number"),
    ],
)
def test_a_parameter_that_cannot_be_one_is_refused_where_it_stands(
    old: str, new: str, path: str, message: str
) -> None:
    found = [
        problem
        for problem in problems_of(changed(PARAMETRISED + MOVING, (old, new)))
        if problem.path == path
    ]

    assert message in found[0].message


ODD = "categories:\n  odd one: {owner: head of finance, meaning: Not as usual.}\n"


def test_a_rules_categories_are_declared_with_owner_and_meaning() -> None:
    used = changed(SMALL, ("effect: allow", "effect: allow\n  categories: [odd one]"))

    document = make_document(ODD + used)

    assert document.rules[0].categories == ("odd one",)
    assert document.categories["odd one"].owner == "head of finance"
    assert make_document(SMALL).categories == {}
    for text, message in [
        (used, "'odd one' is not a category of this document"),
        (ODD + used.replace("[odd one]", "[odd on]"), "Did you mean 'odd one'?"),
        (ODD.replace(", meaning: Not as usual.", "") + used, "'meaning' is missing"),
        (ODD.replace("odd one", "o" * 61) + SMALL, "1 to 60 characters"),
    ]:
        assert message in str(DocumentError(problems_of(text)))


def test_a_clause_that_takes_long_is_refused_at_its_place() -> None:
    clause = "evidence.flags.exists(f, f.matches('a'))"
    text = changed(SMALL, ("[action.amount <= 100]", f'["{clause}"]'))

    (problem,) = problems_of(text)

    assert (problem.line, problem.column) == place_of(text, "matches")
    assert "compare with ==" in problem.message
