"""What the tiers ask for whoever decides: in the matrix, as it always was, and never less."""

from __future__ import annotations

import pytest

from policies.evaluate import evaluate, fail_closed
from policies.matrix import SAFEGUARDS, SWITCHES, guarded
from policies.static_analysis.findings import Severity
from policies.static_analysis.lint import findings
from policies.verdicts import Verdict
from tests.policies.make import DEFAULT_TEXT, make_document, make_facts

TIER_2 = "evidence: [diff, source_record, undo_path]\n    decide_by: 8h\n"
TIER_4 = "requirements: [{group: security}, {group: operations}]\n"
CRM = make_facts(action__type="crm.update", evidence__preview_available=True)


def with_switch(where: str, said: str) -> object:
    return make_document(DEFAULT_TEXT, (where, f"{where}    {said}\n"))


@pytest.mark.parametrize(
    ("name", "tiers"),
    [
        ("people", [2, 3, 4, 5]),
        ("reason_required", [3, 4, 5]),
        ("always_people", [4, 5]),
        ("step_up", [4, 5]),
        ("sign_off", [4, 5]),
    ],
)
def test_the_defaults_are_what_always_held(name: str, tiers: list[int]) -> None:
    assert [n for n, floor in enumerate(SAFEGUARDS) if getattr(floor, name)] == tiers


def test_a_document_that_says_nothing_means_the_defaults() -> None:
    matrix = make_document(DEFAULT_TEXT).matrix

    for tier, floor in enumerate(SAFEGUARDS):
        for name in ("always_people", "step_up", "sign_off"):
            assert getattr(matrix.cell(tier, "crm.update"), name) == getattr(floor, name)


@pytest.mark.parametrize("name", ["always_people", "step_up", "sign_off"])
def test_a_document_may_ask_for_more_on_any_tier(name: str) -> None:
    document = with_switch(TIER_2, f"{name}: true")

    assert getattr(document.matrix.cell(2, "crm.update"), name)  # type: ignore[attr-defined]
    assert not findings_of(document)


@pytest.mark.parametrize("name", SWITCHES)
def test_a_document_that_asks_for_less_is_refused_and_read_as_the_floor(name: str) -> None:
    said = f"{name}: false"
    where = "reason_required: true\n    window: changes\n"
    document = (
        make_document(DEFAULT_TEXT, (where, where.replace("true", "false")))
        if name == "reason_required"
        else with_switch(TIER_4, said)
    )

    found = findings_of(document)
    cell = guarded(document.matrix.cell(4, "access.grant"), 4)  # type: ignore[attr-defined]

    overrides = ["tier 4 for access.*", "tier 4 for vendor.bank_account"]
    assert sorted(finding.what for finding in found) == ["tier 4", *overrides]
    assert {finding.code for finding in found} == {"below_the_floor"}
    assert {finding.severity for finding in found} == {Severity.ERROR}
    assert all(name in finding.sentence for finding in found)
    assert getattr(cell, name)


def test_an_override_below_the_floor_is_named_too() -> None:
    tier_5 = "  - tier: 5\n    requirements"
    override = "  - {tier: 4, action_type: config.*, step_up: false}\n" + tier_5
    document = make_document(DEFAULT_TEXT, (tier_5, override))

    (finding,) = findings_of(document)

    assert finding.what == "tier 4 for config.*"


def test_where_people_always_decide_no_rule_allows_it() -> None:
    clean = make_document(DEFAULT_TEXT)
    refund = dict(document_facts())

    always = make_document(
        DEFAULT_TEXT,
        ("    evidence: [charge,", "    always_people: true\n    evidence: [charge,"),
        ("    operating_model: on the loop\n    pattern: threshold",
         "    operating_model: in the loop\n    pattern: single"),
    )  # fmt: skip

    assert evaluate(clean, refund["facts"], version="1").verdict == Verdict.ALLOW
    assert evaluate(always, refund["facts"], version="1").verdict == Verdict.REQUIRE_APPROVAL


def document_facts() -> dict[str, object]:
    from tests.policies.make import clean_refund

    return {"facts": clean_refund()}


def test_when_policy_cannot_answer_everything_is_asked_for() -> None:
    closed = fail_closed("It is broken.")

    assert closed.reason_required
    assert closed.step_up
    assert closed.sign_off


def findings_of(document: object) -> list[object]:
    found = findings(document, before=None, people=None, action_types=())  # type: ignore[arg-type]
    return [one for one in found if one.code == "below_the_floor"]
