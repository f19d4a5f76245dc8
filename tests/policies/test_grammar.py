"""Documents of older grammars are upgraded as they are read; what was published stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from policies.parsing.grammar import read_stored, upgrade
from policies.parsing.parser import GRAMMAR, parse_document
from policies.parsing.yaml_source import DocumentError
from policies.static_analysis.lint import failed_tests
from tests.policies.make import DEFAULT_TEXT, SMALL

OLDEST = (Path(__file__).parents[1] / "upgrades" / "policy-grammar-1.yaml").read_text()


def test_the_first_releases_policy_is_read_and_passes_its_own_tests() -> None:
    with pytest.raises(DocumentError):
        parse_document(OLDEST)

    stored = read_stored(OLDEST)

    assert failed_tests(stored.document) == ()
    assert "The category 'unusual pattern' is declared; head of finance answers for it." in (
        stored.changes
    )
    assert "tier 3, vendor.*: the pattern is 'single', not 'two groups'." in stored.changes


def test_an_upgrade_keeps_every_line_it_need_not_change() -> None:
    text = upgrade(OLDEST).text

    lost = [line for line in OLDEST.splitlines() if line not in text.splitlines()]
    assert lost == ["    pattern: two groups"] or lost == []
    assert text.count("pattern: two groups") == OLDEST.count("pattern: two groups") - 1


def test_an_upgrade_is_the_same_every_time_and_nothing_is_left_for_a_second_one() -> None:
    once = upgrade(OLDEST)

    assert upgrade(OLDEST) == once
    assert upgrade(once.text).changes == ()
    assert read_stored(once.text).changes == ()


def test_todays_policy_says_its_grammar_and_is_read_as_it_stands() -> None:
    assert f"grammar: {GRAMMAR}" in DEFAULT_TEXT
    stored = read_stored(DEFAULT_TEXT)
    assert (stored.text, stored.changes) == (DEFAULT_TEXT, ())


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("- tier: 3\n  reason: Moves", "- tier: 0o3\n  reason: Moves", None),
        (
            "- tier: 3\n  reason: Moves",
            "- tier: 03\n  reason: Moves",
            "The number 03 is written 3.",
        ),
        (
            "requirements: [{group: manager}]\n  evidence: []\n  decide_by: 4h\n  execute_by: 1d\n"
            "  reason_required: false\n  operating_model: on the loop\n  pattern: single",
            "requirements: [{group: manager}]\n  evidence: []\n  decide_by: 4h\n  execute_by: 1d\n"
            "  reason_required: false\n  operating_model: on the loop\n  pattern: two groups",
            "tier 2: the pattern is 'single', not 'two groups'.",
        ),
        (
            "operating_model: in the loop\n  pattern: two groups",
            "operating_model: on the loop\n  pattern: two groups",
            "tier 5: the operating model is 'in the loop', not 'on the loop'.",
        ),
        (
            "operating_model: in the loop\n  pattern: two groups",
            "operating_model: in the loop\n  pattern: human-supervised",
            "tier 5: the pattern is 'two groups', not 'human-supervised'.",
        ),
        (
            "operating_model: in the loop\n  pattern: two groups",
            "operating_model: in the loop\n  pattern: exception only",
            "tier 5: the pattern is 'two groups', not 'exception only'.",
        ),
    ],
)
def test_what_the_first_grammar_let_pass_is_put_right(
    before: str, after: str, change: str | None
) -> None:
    assert before in SMALL
    text = SMALL.replace(before, after, 1)

    if change is None:  # no release ever took it
        with pytest.raises(DocumentError):
            read_stored(text)
        return
    assert read_stored(text).changes == (change,)


def test_a_document_in_one_line_and_in_another_script_is_upgraded_too() -> None:
    content = yaml.safe_load(SMALL)
    content["rules"][1] |= {"owner": "山田 花子", "categories": ["重複: 二重払い"]}
    text = json.dumps(content, ensure_ascii=False)

    stored = read_stored(text)

    assert stored.changes == (
        "The category '重複: 二重払い' is declared; 山田 花子 answers for it.",
    )
    assert stored.document.categories["重複: 二重払い"].owner == "山田 花子"


def test_a_category_nobody_declared_is_a_mistake_in_a_new_document() -> None:
    text = SMALL.replace("effect: require_approval", "effect: require_approval\n  categories: [x]")

    with pytest.raises(DocumentError, match="is not a category of this document"):
        parse_document(text)
    with pytest.raises(DocumentError, match="is not a category of this document"):
        read_stored(f"grammar: {GRAMMAR}\n{text}")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1", "is 1; write grammar: 2"),
        ("3", "grammar 3 is newer than 2, which this release reads"),
        ("two", "must be a whole number"),
    ],
)
def test_a_new_document_is_written_in_todays_grammar(written: str, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        parse_document(f"grammar: {written}\n{SMALL}")


def test_what_no_upgrade_mends_is_refused_with_its_own_problems() -> None:
    broken = OLDEST.replace("action.amount > 2000000", "action.price > 2000000", 1)

    with pytest.raises(DocumentError, match=r"rules\[0\]\.when\[2\]") as refusal:
        read_stored(broken)

    assert refusal.value.problems[0].line == OLDEST[: OLDEST.index("2000000")].count("\n") + 1
