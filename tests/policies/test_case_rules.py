"""Rules that name their action types may look into the case, and nothing unknown ever just runs."""

from __future__ import annotations

from typing import Any

import pytest

from policies.document import Document
from policies.evaluate import evaluate, evaluate_stored
from policies.facts import Facts
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.services.publishable import known_action_types, known_schemas
from policies.static_analysis.compare import compare
from policies.static_analysis.lint import findings
from policies.verdicts import Evaluation, Verdict
from tests.policies.make import DEFAULT_TEXT, READ, make_facts

TEXT = """
grammar: 2
rules:
  - id: all
    owner: o
    reason: Everything runs.
    when: ["true"]
    effect: allow
  - id: scoped
    owner: o
    reason: This case is asked about.
    on: [order.correct, crm.*]
    when:
      - CLAUSE
    effect: require_approval
    requirements: [{group: finance}]
tiers:
  - {tier: 1, reason: t, when: ["true"]}
"""


def text(clause: str, on: str = "[order.correct, crm.*]") -> str:
    matrix = DEFAULT_TEXT[DEFAULT_TEXT.index("\nmatrix:") : DEFAULT_TEXT.index("\nwindows:")]
    windows = DEFAULT_TEXT[DEFAULT_TEXT.index("\nwindows:") : DEFAULT_TEXT.index("\ntests:")]
    written = TEXT.replace("CLAUSE", f"'{clause}'").replace("[order.correct, crm.*]", on)
    return written + matrix + windows


def document(clause: str, on: str = "[order.correct, crm.*]") -> Document:
    return parse_document(text(clause, on))


def asked(document: Document, kind: str = "order.correct", **case: Any) -> Evaluation:
    facts = make_facts(action__type=kind, **{"evidence__kinds": READ, **case})
    return evaluate(document, facts, version="1")


def test_a_rule_asks_about_what_is_proposed_and_what_is() -> None:
    rules = document('params.fields.status == "cancelled" && before.status == "paid"')
    cancelling = {"fields": {"status": "cancelled"}}

    assert asked(rules, params=cancelling, before={"status": "paid"}).verdict == "require_approval"
    assert asked(rules, params=cancelling, before={"status": "packed"}).verdict == Verdict.ALLOW
    assert asked(rules, "crm.tag", params=cancelling, before={"status": "paid"}).tier == 1


def test_it_is_about_its_action_types_only() -> None:
    rules = document("true")

    assert asked(rules, "order.correct").verdict == Verdict.REQUIRE_APPROVAL
    assert asked(rules, "crm.tag").verdict == Verdict.REQUIRE_APPROVAL
    other = asked(rules, "draft.reply")
    assert other.verdict == Verdict.ALLOW
    (scoped,) = (one for one in other.trace if one.rule == "scoped")
    assert [clause.text for clause in scoped.clauses] == [
        'action.type in ["order.correct"] || action.type.startsWith("crm.")'
    ]


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"params": {}},
        {"params": {"fields": {}}},
        {"params": {"fields": {"quantity": "two"}}},
        {"params": {"fields": None}},
    ],
)
def test_what_is_missing_or_of_another_kind_goes_to_people(case: dict[str, Any]) -> None:
    found = asked(document("params.fields.quantity > 5"), **case)

    assert (found.verdict, found.tier) == (Verdict.REQUIRE_APPROVAL, 5)
    assert found.failed_closed == "A condition of scoped could not be evaluated."


def test_what_is_missing_can_be_asked_about() -> None:
    rules = document("has(params.fields.quantity) && params.fields.quantity > 5")

    assert asked(rules, params={"fields": {}}).verdict == Verdict.ALLOW
    assert asked(rules, params={"fields": {"quantity": 6}}).verdict == Verdict.REQUIRE_APPROVAL


def test_a_broken_case_of_one_type_keeps_no_other_from_running() -> None:
    rules = document("params.fields.quantity > 5")

    assert asked(rules, "order.correct").failed_closed
    assert asked(rules, "draft.reply").verdict == Verdict.ALLOW


def test_stored_facts_are_answered_as_fresh_ones() -> None:
    rules = document("params.fields.quantity > 5")
    facts = make_facts(action__type="order.correct", params={"fields": {"quantity": 6}})

    stored = facts.flat()

    assert stored["params"] == {"fields": {"quantity": 6}}
    assert Facts.from_flat(stored) == facts
    assert evaluate_stored(rules, stored, version="1") == evaluate(rules, facts, version="1")


@pytest.mark.parametrize("clause", ["params.fields.quantity > 5", 'before.status == "paid"'])
def test_without_action_types_nobody_knows_the_fields(clause: str) -> None:
    with pytest.raises(DocumentError, match="differs by action type"):
        parse_document(text(clause).replace("    on: [order.correct, crm.*]\n", ""))


def test_tier_rules_are_about_every_action() -> None:
    written = text("true").replace(
        'reason: t, when: ["true"]', 'reason: t, when: ["has(params.x)"]'
    )
    with pytest.raises(DocumentError, match="differs by action type"):
        parse_document(written)


@pytest.mark.parametrize(
    ("on", "problem"),
    [
        ("[]", "needs an action type"),
        ("[Order]", "must be an action type"),
        ("order.correct", "must be a list"),
    ],
)
def test_a_scope_that_is_none_is_refused(on: str, problem: str) -> None:
    with pytest.raises(DocumentError, match=problem):
        document("true", on)


@pytest.mark.parametrize(
    "clause",
    [
        "params.lines.exists(a, params.lines.exists(b, a == b))",
        "params.lines.map(a, a).size() > 1",
        'params.lines.exists(a, a.matches("x"))',
        "params.body.matches(params.pattern)",
    ],
)
def test_what_could_take_long_is_refused_here_as_well(clause: str) -> None:
    with pytest.raises(DocumentError):
        document(clause)


def found_in(clause: str, on: str = "[order.correct]") -> list[tuple[str, str]]:
    found = findings(
        document(clause, on),
        before=None,
        people=None,
        action_types=known_action_types(),
        schemas=known_schemas(),
    )
    return [(one.code, one.sentence) for one in found if one.what == "rule scoped"]


@pytest.mark.parametrize(
    ("clause", "code", "sentence"),
    [
        (
            'params.fields.statuss == "paid"',
            "unknown_field",
            "order.correct has no params.fields.statuss. Did you mean 'status'?",
        ),
        ("has(params.filds.status)", "unknown_field", "Did you mean 'fields'?"),
        ('params["fields"].x == 1', "unknown_field", "order.correct has no params.fields.x."),
        ('before.stat == "paid"', "unknown_field", "Did you mean 'status'?"),
        (
            "has(params.fields.status) && params.fields.status > 5",
            "wrong_kind",
            "params.fields.status is text, and is compared with 5.",
        ),
        (
            'has(params.fields.quantity) && params.fields.quantity == "2"',
            "wrong_kind",
            "params.fields.quantity is a number, and is compared with '2'.",
        ),
        (
            'has(params.fields.status) && params.fields.status in ["canceled", "paid"]',
            "wrong_kind",
            "params.fields.status is never 'canceled'. Did you mean 'cancelled'?",
        ),
        (
            "params.fields.quantity > 5",
            "may_be_missing",
            "params.fields.quantity may be missing, and then people decide at the highest tier; "
            "ask has(params.fields.quantity) && first.",
        ),
    ],
)
def test_mistakes_about_fields_are_found_when_they_are_written(
    clause: str, code: str, sentence: str
) -> None:
    ((found, said),) = found_in(clause)

    assert found == code
    assert sentence in said


@pytest.mark.parametrize(
    "clause",
    [
        'params.order == "ord_3001"',
        "has(params.fields.quantity) && params.fields.quantity >= 5",
        'has(before.status) && before.status == "refunded"',  # the target has words of its own
        "!has(after.status)",
    ],
)
def test_what_is_right_is_not_found_fault_with(clause: str) -> None:
    assert found_in(clause) == []


@pytest.mark.parametrize(
    ("clause", "codes"),
    [
        ("has(params.body) && params.body.size() > 3", []),  # of two kinds of draft one has it
        ("params.body.size() > 3", ["unknown_field"]),
        ("has(params.bodi)", ["unknown_field", "unknown_field"]),
        ('"body" in params && params.body.size() > 3', []),
    ],
)
def test_a_family_may_ask_which_of_its_members_has_a_field(clause: str, codes: list[str]) -> None:
    assert [code for code, _ in found_in(clause, "[draft.*]")] == codes


@pytest.mark.parametrize(
    "clause",
    [
        'has(params.fields.status) && params.fields.status > "a"',
        '"status" in params.fields && params.fields["status"] == "paid"',
    ],
)
def test_only_equality_is_held_against_the_words_there_are(clause: str) -> None:
    assert found_in(clause) == []


@pytest.mark.parametrize(
    "clause",
    [
        "params.a.exists(i, i in before.a)",
        "params.a.exists(i, params.s.contains(before.s))",
        "params.a.exists(i, params.s + before.s == after.s)",
    ],
)
def test_nothing_long_is_compared_for_every_entry(clause: str) -> None:
    with pytest.raises(DocumentError, match="takes too long"):
        document(clause)


def test_texts_written_out_may_be_looked_for_in_every_entry() -> None:
    rules = document('params.a.exists(i, i.contains("x") || i in ["y"])')

    assert asked(rules, params={"a": ["b", "y"]}).verdict == Verdict.REQUIRE_APPROVAL
    assert asked(rules, params={"a": ["b"]}).verdict == Verdict.ALLOW


def test_a_rule_about_other_types_is_not_blamed_for_a_clause_it_shares() -> None:
    shared = text("params.x == 1")
    other = shared[shared.index("  - id: scoped") : shared.index("tiers:")]
    other = other.replace("scoped", "other").replace("[order.correct, crm.*]", "[refund.issue]")
    rules = parse_document(shared.replace("tiers:", f"{other}tiers:", 1))

    found = asked(rules, params={})

    assert found.failed_closed == "A condition of scoped could not be evaluated."
    assert len(found.trace[-1].clauses) == 1


def test_the_weekday_of_older_decisions_is_that_of_their_day() -> None:
    rules = document('time.weekday in ["sat", "sun"]')

    found = [
        evaluate_stored(
            rules,
            {"action.type": "order.correct", "time.today": day, "evidence.kinds": READ},
            version="1",
        ).verdict
        for day in ("2026-07-18", "2026-07-20")
    ]

    assert found == [Verdict.REQUIRE_APPROVAL, Verdict.ALLOW]


def test_the_order_of_action_types_says_nothing() -> None:
    one, same = (
        document("true", "[crm.*, order.correct]"),
        document("true", "[order.correct, crm.*]"),
    )

    assert one.rules[1].when == same.rules[1].when


def test_fields_are_checked_for_every_type_it_is_about() -> None:
    ((code, said),) = found_in('params.order == "ord_1"', "[order.correct, crm.tag]")

    assert code == "unknown_field"
    assert said.startswith("crm.tag has no params.order.")


def test_a_family_without_members_and_a_type_nobody_has_are_found() -> None:
    assert found_in("true", "[moon.*, crm.update]") == [
        ("unknown_action_type", "there is no action type of moon.*.")
    ]
    ((code, said),) = found_in("true", "[order.corect]")
    assert (code, said) == (
        "unknown_action_type",
        "there is no action type 'order.corect'. Did you mean 'order.correct'?",
    )


def test_another_scope_is_a_change() -> None:
    before, after = document("true", "[order.correct]"), document("true", "[crm.update]")

    assert any("scoped" in change.what for change in compare(before, after))
