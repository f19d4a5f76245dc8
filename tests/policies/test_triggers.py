"""Triggers in a document: read, compared with the version before, and never a way around people."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policies.evaluate import evaluate
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.static_analysis.weaker import weaker
from policies.triggers import Consequence, Per, Watch, spelled
from policies.verdicts import Verdict
from tests.policies.make import DEFAULT_TEXT, SMALL, clean_refund, make_facts

ONE = """\
triggers:
- id: errors
  owner: head of operations
  reason: Too much goes wrong.
  watch: errors
  per: connection
  at_least: 5
  within: 1h
  then: manual
  on: [refund.*]
"""
FLOOR = """\
kind: floor
rules:
- id: none
  owner: security
  reason: Nothing.
  when: ["false"]
  effect: deny
"""


def test_a_trigger_is_read() -> None:
    (found,) = parse_document(SMALL + ONE).triggers

    assert (found.watch, found.per, found.then) == (
        Watch.ERRORS,
        Per.CONNECTION,
        Consequence.MANUAL,
    )
    assert (found.at_least, found.within) == (5, timedelta(hours=1))
    assert (found.counts("refund.issue"), found.counts("crm.update")) == (True, False)


def test_a_document_without_triggers_and_a_floor_with_them_are_read() -> None:
    assert parse_document(SMALL).triggers == ()
    assert len(parse_document(FLOOR + ONE).triggers) == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("watch: errors", "watch: moods", "is not one of"),
        ("per: connection", "per: customer", "is not one of"),
        ("then: manual", "then: shrug", "is not one of"),
        ("then: manual", "then: demote", "a connection is paused or goes to people"),
        ("at_least: 5", "at_least: 0", "whole number"),
        ("at_least: 5", "at_least: 5000", "whole number"),
        ("within: 1h", "within: 60d", "at most 31d"),
        ("within: 1h", "within: soon", "not a duration"),
        ("[refund.*]", "[]", "needs an action type"),
        ("  owner: head of operations\n", "", "owner"),
        ("- id: errors", "- id: errors\n  tier: 0", "tier"),
    ],
)
def test_a_mistake_is_named(old: str, new: str, says: str) -> None:
    assert old in ONE

    with pytest.raises(DocumentError) as refused:
        parse_document(SMALL + ONE.replace(old, new, 1))

    assert says in str(refused.value)


def test_a_changed_format_is_no_agents() -> None:
    text = ONE.replace("watch: errors", "watch: changed format")

    with pytest.raises(DocumentError, match="no agent's"):
        parse_document(SMALL + text.replace("per: connection", "per: agent"))


def test_two_triggers_of_one_name_are_refused() -> None:
    twice = ONE + ONE.removeprefix("triggers:\n")

    with pytest.raises(DocumentError, match="trigger id"):
        parse_document(SMALL + twice)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("at_least: 5", "at_least: 6"),
        ("within: 1h", "within: 30m"),
        ("[refund.*]", "[refund.issue]"),
        ("watch: errors", "watch: complaints"),
        ("per: connection", "per: agent"),
        (ONE, ""),
    ],
)
def test_what_fires_later_or_less_is_shown_as_weaker(old: str, new: str) -> None:
    before, after = parse_document(SMALL + ONE), parse_document(SMALL + ONE.replace(old, new))

    found = {finding.code for finding in weaker(before, after)}

    assert found == ({"trigger_loosened"} if new else {"trigger_removed"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("at_least: 5", "at_least: 4"),
        ("within: 1h", "within: 2h"),
        ("then: manual", "then: pause"),
        ("  on: [refund.*]\n", ""),
        ("[refund.*]", "[refund.*, crm.*]"),
    ],
)
def test_what_fires_sooner_or_harder_is_not(old: str, new: str) -> None:
    before, after = parse_document(SMALL + ONE), parse_document(SMALL + ONE.replace(old, new))

    assert list(weaker(before, after)) == []


def test_a_milder_consequence_is_weaker() -> None:
    hard = ONE.replace("then: manual", "then: pause")

    (found,) = weaker(parse_document(SMALL + hard), parse_document(SMALL + ONE))

    assert found.sentence == (
        "it says manual at 5 errors of refund.* per connection within 1 hour, instead of pause at "
        "5 errors of refund.* per connection within 1 hour."
    )


# --- What it does to a verdict -------------------------------------------------------------------


def test_what_a_trigger_is_in_force_for_never_runs_by_itself() -> None:
    document = parse_document(DEFAULT_TEXT)

    free = evaluate(document, clean_refund(), version="")
    held = evaluate(document, clean_refund(action__triggers=["errors"]), version="")

    assert (free.verdict, held.verdict) == (Verdict.ALLOW, Verdict.REQUIRE_APPROVAL)
    assert held.requirements
    assert (held.tier, held.evidence_required) == (free.tier, free.evidence_required)


def test_no_verdict_gets_milder_by_a_trigger() -> None:
    document, strictness = parse_document(DEFAULT_TEXT), list(Verdict)
    for test in document.tests:
        free = evaluate(document, test.facts, version="")
        flat = {**test.facts.flat(), "action.triggers": ["errors"]}
        held = evaluate(document, type(test.facts).from_flat(flat), version="")

        assert strictness.index(held.verdict) >= strictness.index(free.verdict), test.name
        assert held.tier == free.tier
        assert held.verdict != Verdict.ALLOW
        if free.verdict == Verdict.REQUIRE_APPROVAL:
            assert held.requirements == free.requirements


def test_facts_stored_before_there_were_triggers_are_judged_as_they_were() -> None:
    assert make_facts().action.triggers == ()


def test_windows_are_spelled() -> None:
    spelt = [spelled(timedelta(minutes=n)) for n in (1, 90, 60, 2880)]

    assert spelt == ["1 minute", "90 minutes", "1 hour", "2 days"]
