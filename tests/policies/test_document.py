"""Documents that cannot be policies are refused with place and remedy."""

from __future__ import annotations

import contextlib
import re
from datetime import timedelta

import pytest

from audit.lib.yaml_source import Problem
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.static_analysis.lint import failed_tests
from policies.verdicts import RequirementSpec, Verdict
from tests.policies.make import DEFAULT_TEXT, SMALL, changed, make_document


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(DocumentError) as refused:
        parse_document(text)
    assert refused.value.code == "invalid_document"
    return refused.value.problems


def place_of(text: str, needle: str) -> tuple[int, int]:
    """Line and column, from 1, of the first occurrence."""
    before = text[: text.index(needle)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def test_a_document_becomes_typed_values() -> None:
    document = make_document()

    assert [rule.id for rule in document.rules] == ["small", "large"]
    assert document.rules[1].effect == Verdict.REQUIRE_APPROVAL
    assert document.rules[1].requirements == (RequirementSpec("finance", within_limit=True),)
    assert document.matrix.tiers[3].deadlines.decide_by == timedelta(hours=4)
    assert document.matrix.tiers[3].deadlines.execute_by == timedelta(days=1)
    assert document == make_document()
    assert len(document.digest) == 64


MISTAKES = [
    ("owner: finance", "owner: " + "x" * 61, "x", "rules[0].owner", "more than 60 characters"),
    ("[action.amount <= 100]", "['']", "''", "rules[0].when[0]", "must not be empty"),
    ("[action.amount <= 100]", "[" + "'true'," * 51 + "]", "[", "rules[0].when",
     "more than 50 entries"),
    ("effect: allow", "effect: allow\n  tier: 1_0:99", "1_0:99", "rules[0].tier", "from 0 to 5"),
    # what is written, what replaces it, where the error points, path, part of the message
    ("effect: allow", "efect: allow", "efect", "rules[0].efect", "Did you mean 'effect'?"),
    ("effect: allow", "effect: alow", "alow", "rules[0].effect", "Did you mean 'allow'?"),
    ("[action.amount <= 100]", "[]", "[]", "rules[0].when", "at least one clause"),
    ("group: finance", "group: Finance", "Finance", "rules[1].requirements[0].group",
     "Did you mean 'finance'?"),
    ("group: finance", "group: auditor", "auditor", "rules[1].requirements[0].group",
     "not a role that decides"),
    ("group: finance,", "group: finance, quorum: 0,", "0,", "rules[1].requirements[0].quorum",
     "whole number from 1 to 10"),
    ("within_limit: true", "within_limit: maybe", "maybe",
     "rules[1].requirements[0].within_limit", "true or false"),
    ("- tier: 3\n  reason", "- tier: 6\n  reason", "6\n", "tiers[0].tier", "from 0 to 5"),
    ("decide_by: 4h", "decide_by: soon", "soon", "matrix[0].decide_by", "write 30m, 4h, 2d"),
    ("decide_by: 4h", "decide_by: 91d", "91d", "matrix[0].decide_by", "at most 90d"),
    ("pattern: single", "pattern: singel", "singel", "matrix[2].pattern", "Did you mean 'single'?"),
    ("on the loop", "on the lop", "on the lop", "matrix[0].operating_model", "on the loop"),
    ("evidence: []\n", "evidence: []\n  window: nights\n", "nights", "matrix[0].window",
     "not a window"),
    ("reason: Small amounts run by themselves.", "reason: ''", "''", "rules[0].reason",
     "must not be empty"),
    ("owner: finance", "owner: [finance]", "[finance]", "rules[0].owner", "must be a single value"),
    ("[action.amount <= 100]", "action.amount <= 100", "action.amount <= 100", "rules[0].when",
     "must be a list"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "needle", "path", "message"), MISTAKES)
def test_a_mistake_is_named_with_path_line_column_and_remedy(
    old: str, new: str, needle: str, path: str, message: str
) -> None:
    text = changed(SMALL, (old, new))
    start = text.index(new)
    at = start + text[start:].index(needle)
    before = text[:at]
    expected = (before.count("\n") + 1, len(before) - before.rfind("\n"))

    found = [problem for problem in problems_of(text) if problem.path == path]

    assert [(p.line, p.column) for p in found] == [expected]
    assert message in found[0].message
    assert str(found[0]).startswith(f"{path}, line {expected[0]}, column {expected[1]}: ")


@pytest.mark.parametrize(
    ("clause", "column", "message"),
    [
        ("action.amout <= 100", 1, "'action.amout' is not a fact. Did you mean 'action.amount'?"),
        ("weather == 'bad'", 1, "'weather' is not a fact."),
        ("action.amount", 1, "true or false, and this one is int"),
        ("agent.confidence >= 1", 18, "with a point, as in 1.0"),
        ("action.amount <= ", 17, "Syntax error"),
        ("dyn(true)", 1, "true or false, and this one is dyn"),
        ("action.type == 5", 13, "no matching overload"),
    ],
)
def test_a_clause_that_cannot_be_compiled_points_into_the_clause(
    clause: str, column: int, message: str
) -> None:
    text = changed(SMALL, ("[action.amount <= 100]", f'["{clause}"]'))
    line, start = place_of(text, clause)

    (problem,) = problems_of(text)

    assert (problem.path, problem.line) == ("rules[0].when[0]", line)
    assert message in problem.message
    assert problem.column == start + column - 1


def test_a_clause_in_a_block_points_at_its_own_line() -> None:
    text = changed(
        SMALL,
        ("[action.amount <= 100]", "\n  - |\n    action.amount <= 100\n    && action.amout > 1"),
    )

    (problem,) = problems_of(text)

    assert problem.line == place_of(text, "&& action.amout")[0]


def test_all_mistakes_are_reported_at_once_in_reading_order() -> None:
    text = changed(
        SMALL, ("effect: allow", "efect: allow"), ("action.amount > 100", "action.amout > 100")
    )

    found = problems_of(text)

    assert [p.path for p in found] == ["rules[0]", "rules[0].efect", "rules[1].when[0]"]
    assert "'effect' is missing" in found[0].message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("# only a comment", "empty"),
        ("rules: [", "expected"),
        ("rules: []\n---\nrules: []", "One document only"),
        ("a: &a [1]\nb: *a", "Anchors are not allowed"),
        ("a: *a", "undefined alias|Aliases are not allowed"),
        ("a: !!python/object/apply:os.system ['true']", "Tags are not allowed"),
        ("a: !!str 5", "Tags are not allowed"),
        ("? [a]\n: b", "A key is a plain word"),
        ("[" * 17 + "]" * 17, "Nested deeper than 16"),
        ("a: [" + "1," * 20_001 + "]", "More than 20,000"),
        ("a: " + "x" * 300_000, "at most 256 KiB"),
        ("a: \x00", "special characters"),
        ("a: \ud800", "D800 at position 3: special characters"),
        ("- a", "must be a mapping"),
        ("just words", "must be a mapping"),
        ("{}", "'rules' is missing"),
    ],
)
def test_what_is_no_plain_yaml_document_is_refused(text: str, message: str) -> None:
    assert re.search(message, str(DocumentError(problems_of(text))))


def test_a_laughing_bomb_is_refused_before_it_unfolds() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
    )

    (problem,) = problems_of(bomb)

    assert (problem.line, problem.message) == (1, "Anchors are not allowed; write the value out.")


def test_a_duplicate_key_is_refused_and_names_the_first() -> None:
    text = changed(SMALL, ("  effect: allow\n", "  effect: allow\n  effect: deny\n"))

    (problem,) = problems_of(text)

    assert problem.path == "rules[0].effect"
    assert problem.line == place_of(text, "effect: deny")[0]
    assert f"already set on line {problem.line - 1}" in problem.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: large", "id: small", "rule id 'small' is used 2 times"),
        ("- tier: 5\n", "- tier: 4\n", "no entry for tier 5"),
        ("requirements: [{group: manager}]", "requirements: []", "needs at least one requirement"),
        ("  pattern: single\n", "", "must be complete; add pattern"),
        ("  decide_by: 4h\n", "", "come together"),
        ("effect: require_approval", "effect: deny", "asks nobody"),
        (
            "[{group: finance, within_limit: true}]",
            "[{group: finance}, {group: finance}]",
            "group 'finance' is used 2 times",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(old: str, new: str, message: str) -> None:
    assert message in str(DocumentError(problems_of(changed(SMALL, (old, new)))))


def test_words_yaml_would_turn_into_something_else_stay_words() -> None:
    document = make_document(SMALL, ("id: small", "id: no"), ("owner: finance", "owner: 007"))

    assert (document.rules[0].id, document.rules[0].owner) == ("no", "007")


WINDOW = "windows:\n  nights: {days: [mon], from: '22:00', to: '04:00', tz: Europe/Berlin}\n"


@pytest.mark.parametrize("pattern", ["'*'", "refund", "Refund.issue", "refund.*.x"])
def test_an_override_is_for_one_action_type_or_a_family_and_given_once(pattern: str) -> None:
    entry = "- {{tier: 3, action_type: {}, reason_required: true}}\n"

    assert "a family (refund.*)" in str(DocumentError(problems_of(SMALL + entry.format(pattern))))
    assert "already has 'refund.*'; keep one" in str(
        DocumentError(problems_of(SMALL + entry.format("refund.*") * 2))
    )


def test_a_second_entry_for_a_whole_tier_is_refused() -> None:
    again = SMALL[SMALL.index("- tier: 5\n") :]

    assert "tier 5 is already there" in str(DocumentError(problems_of(SMALL + again)))


def test_a_folded_clause_points_at_its_beginning() -> None:
    text = changed(SMALL, ("[action.amount <= 100]", "\n  - >\n    action.amout\n    > 1"))

    (problem,) = problems_of(text)

    assert problem.line == place_of(text, "- >")[0]


def test_windows_are_read_and_wrong_ones_refused() -> None:
    document = make_document(SMALL + WINDOW)

    assert (document.windows["nights"].opens, document.windows["nights"].closes) == (1320, 240)
    for old, new, message in [
        ("Europe/Berlin", "Berlin/Mitte", "not a time zone"),
        ("Europe/Berlin", "../etc/passwd", "not a time zone"),
        ("'22:00'", "'24:00'", "not a time of day"),
        ("'22:00'", "'9:00'", "not a time of day"),
        ("[mon]", "[monday]", "not a weekday"),
        ("[mon]", "[]", "needs a day"),
    ]:
        assert message in str(DocumentError(problems_of(changed(SMALL + WINDOW, (old, new)))))


TESTS = """\
tests:
- name: fifty run
  facts: {action.amount: 50, customer.segment: ""}
  expect: {verdict: allow, tier: 3, groups: []}
"""


def test_the_documents_own_tests_run_and_say_what_differs() -> None:
    wrong = changed(TESTS, ("allow", "deny"), ("tier: 3", "tier: 2"), ("[]", "[legal, finance]"))

    assert failed_tests(make_document(SMALL + TESTS)) == ()
    assert failed_tests(make_document(SMALL + wrong)) == (
        "Test 'fifty run': expected deny, got allow.",
        "Test 'fifty run': expected tier 2, got 3.",
        "Test 'fifty run': expected finance and legal, got nobody.",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("action.amount: 50", "action.amout: 50", "Did you mean 'action.amount'?"),
        ("action.amount: 50", "action.amount: 50.0", "action.amount is a whole number, not 50.0"),
        ("action.amount: 50", "action.amount: 2026-13-45", "action.amount is a whole number"),
        ("action.amount: 50", "customer.known: 1", "customer.known is true or false"),
        ("action.amount: 50", "evidence.flags: [1]", "evidence.flags is a list of texts"),
        ("action.amount: 50", "agent.confidence: .nan", "agent.confidence is a decimal number"),
    ],
)
def test_facts_in_tests_are_typed(old: str, new: str, message: str) -> None:
    assert message in str(DocumentError(problems_of(SMALL + changed(TESTS, (old, new)))))


@pytest.mark.parametrize("index", range(0, len(DEFAULT_TEXT.splitlines()), 7))
def test_a_lost_line_makes_another_document_or_a_document_error_never_a_crash(index: int) -> None:
    lines = DEFAULT_TEXT.splitlines(keepends=True)

    with contextlib.suppress(DocumentError):
        parse_document("".join(lines[:index] + lines[index + 1 :]))
