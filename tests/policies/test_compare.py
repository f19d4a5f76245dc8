"""Comparing documents: every difference is said once, and nothing else is."""

from __future__ import annotations

import pytest

from policies.static_analysis.compare import Change, ChangeKind, compare
from tests.policies.make import SMALL, changed, make_document

TESTS = """\
tests:
- {name: small, facts: {action.amount: 50}, expect: {verdict: allow}}
"""
WINDOW = """\
windows:
  nights: {days: [mon, tue], from: "22:00", to: "06:00", tz: Europe/Berlin}
"""


def differences(*replacements: tuple[str, str], text: str = SMALL) -> tuple[Change, ...]:
    return compare(make_document(text), make_document(text, *replacements))


def test_the_same_document_has_no_differences() -> None:
    assert differences(text=SMALL + WINDOW + TESTS) == ()


def test_comments_and_layout_are_no_difference() -> None:
    assert compare(make_document(SMALL), make_document("# a word\n" + SMALL)) == ()


def test_moving_a_rule_is_no_difference() -> None:
    head, first, second = SMALL.partition("tiers:")[0].split("- id: ")
    moved = head + "- id: " + second + "- id: " + first + "tiers:" + SMALL.partition("tiers:")[2]

    assert compare(make_document(), make_document(moved)) == ()


def test_a_changed_clause_shows_both_texts() -> None:
    (change,) = differences(("action.amount <= 100", "action.amount <= 400"))

    assert change == Change(
        ChangeKind.CHANGED,
        "rule small",
        "Rule small asks `action.amount <= 400` instead of `action.amount <= 100`.",
        "action.amount <= 100",
        "action.amount <= 400",
    )


def test_an_added_and_a_removed_clause_are_told_apart() -> None:
    wide = "[action.amount <= 100]"
    narrow = "[action.amount <= 100, customer.known]"

    (added,) = differences((wide, narrow))
    (removed,) = compare(make_document(SMALL, (wide, narrow)), make_document())

    assert added.sentence == "Rule small also asks `customer.known`."
    assert removed.sentence == "Rule small no longer asks `customer.known`."


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("owner: finance", "owner: legal", "Rule small, owner: legal instead of finance."),
        ("effect: allow", "effect: deny", "Rule small, effect: deny instead of allow."),
        ("effect: allow", "effect: allow\n  tier: 2", "Rule small, tier: 2 instead of 0."),
        (
            "{group: finance, within_limit: true}",
            "{group: finance, quorum: 2}",
            "Rule large, requirements: 2 of finance instead of finance, within limit.",
        ),
        (
            "run by themselves.",
            "run alone.",
            'Rule small, reason: "Small amounts run alone." instead of '
            '"Small amounts run by themselves.".',
        ),
    ],
)
def test_every_part_of_a_rule_is_compared(old: str, new: str, sentence: str) -> None:
    (change,) = differences((old, new))

    assert (change.kind, change.sentence) == (ChangeKind.CHANGED, sentence)


def test_a_removed_rule_is_shown_whole() -> None:
    start, end = SMALL.index("- id: large"), SMALL.index("tiers:")
    without = make_document(SMALL[:start] + SMALL[end:])

    (gone,) = compare(make_document(), without)
    (new,) = compare(without, make_document())

    assert (gone.kind, gone.what, gone.after) == (ChangeKind.REMOVED, "rule large", "")
    assert (new.kind, new.sentence, new.before) == (ChangeKind.ADDED, "Rule large is new.", "")
    assert "when action.amount > 100" in gone.before.splitlines()
    assert "effect: require approval" in gone.before.splitlines()


def test_a_tier_rule_that_says_another_tier_is_one_difference() -> None:
    (change,) = differences(("tier: 3\n  reason: Moves", "tier: 4\n  reason: Moves"))

    assert change.what == 'tier rule "Moves money."'
    assert change.sentence.endswith("tier: 4 instead of 3.")


def test_a_cell_is_named_by_its_place() -> None:
    (change,) = differences(("decide_by: 4h", "decide_by: 30m"))

    assert change.what == "tier 0"
    assert change.after == "30m to decide, 1d to execute"


def test_a_window_and_a_test_are_compared_too() -> None:
    text = SMALL + WINDOW + TESTS
    found = differences(('from: "22:00"', 'from: "23:00"'), ("amount: 50", "amount: 60"), text=text)

    assert [change.what for change in found] == ["window nights", 'test "small"']
    assert found[1].before == "action.amount: 50\nexpects allow"


def test_new_windows_and_tests_are_new() -> None:
    found = compare(make_document(), make_document(SMALL + WINDOW + TESTS))

    assert [(c.kind, c.what) for c in found] == [
        (ChangeKind.ADDED, "window nights"),
        (ChangeKind.ADDED, 'test "small"'),
    ]
    assert found[0].after == "mon, tue 22:00 to 06:00 Europe/Berlin"


def test_every_sentence_ends() -> None:
    text = changed(SMALL, ("effect: allow", "effect: deny"), ("tier: 3\n", "tier: 4\n"))

    assert all(c.sentence.endswith(".") for c in compare(make_document(), make_document(text)))
