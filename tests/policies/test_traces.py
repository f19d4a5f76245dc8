"""What is stored of an evaluation gives every rule back, with the words of its version."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from audit.lib.canonical import digest
from policies.evaluate import evaluate
from policies.models import PolicyVersion
from policies.services.traces import rules_in, stored_trace
from policies.verdicts import Evaluation
from tests.policies.make import (
    DEFAULT_TEXT,
    SMALL,
    changed,
    clean_refund,
    make_document,
    make_facts,
)
from tests.policies.test_standing import TEXT as WITH_STANDING

DIVIDES = changed(SMALL, ("[action.amount > 100]", "[100 / action.amount == 7]"))
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "rules that match and rules that do not": (SMALL, {"action__amount": 50}),
    "nothing matches": (
        changed(SMALL, ("action.amount > 100", "action.amount > 200")),
        {"action__amount": 150},
    ),
    "a clause errs": (DIVIDES, {"action__amount": 0}),
    "a standing approval adds to the reason": (
        WITH_STANDING,
        {
            "action__type": "vendor.pay",
            "action__counterparty": "landlord",
            "action__amount": 90_000,
            "time__today": "2027-03-31",
        },
    ),
}


def make_version(text: str) -> PolicyVersion:
    return PolicyVersion(label="1", document=text, digest=digest(text))


def shown(found: Evaluation) -> list[dict[str, Any]]:
    """Its rules as pages and answers show them."""
    return [
        {**asdict(rule), "effect": rule.effect.value, "clauses": [asdict(c) for c in rule.clauses]}
        for rule in found.trace
    ]


@pytest.mark.parametrize("case", CASES)
def test_every_rule_comes_back_whole(case: str) -> None:
    text, facts = CASES[case]
    found = evaluate(make_document(text), make_facts(**facts), version="1")

    assert found.trace
    assert rules_in(stored_trace(found), make_version(text)) == shown(found)


def test_the_words_of_the_version_are_not_stored_again() -> None:
    document = make_document(DEFAULT_TEXT)
    found = evaluate(document, clean_refund(), version="1")

    stored = str(stored_trace(found))

    assert {clause for rule in document.rules for clause in rule.when if clause in stored} == set()
    assert rules_in(stored_trace(found), make_version(DEFAULT_TEXT)) == shown(found)


def test_what_earlier_releases_stored_in_full_is_shown_as_it_is() -> None:
    found = evaluate(make_document(), make_facts(action__amount=50), version="1")

    assert rules_in({"rules": shown(found)}, None) == shown(found)


@pytest.mark.parametrize("version", [None, PolicyVersion(label="1", document="x", digest="y")])
def test_of_a_version_that_cannot_be_read_the_outcomes_are_left(
    version: PolicyVersion | None,
) -> None:
    found = evaluate(make_document(), make_facts(action__amount=50), version="1")

    rules = rules_in(stored_trace(found), version)

    assert [(r["rule"], r["matched"]) for r in rules] == [(t.rule, t.matched) for t in found.trace]
    assert [[c["outcome"] for c in r["clauses"]] for r in rules] == [
        [c.outcome for c in t.clauses] for t in found.trace
    ]
