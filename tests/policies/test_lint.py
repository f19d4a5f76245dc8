"""Static checks: what cannot be meant, what nobody can do, what got weaker."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.cel.analysis import literals_of, region_of
from policies.document import Document
from policies.evaluate import evaluate
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.roles import DECIDING_ROLES
from policies.static_analysis.findings import Finding, Severity
from policies.static_analysis.lint import findings
from policies.static_analysis.reach import HeldLimit, Member, People
from tests.policies.make import DEFAULT_TEXT, SMALL, changed, make_document, make_facts

TODAY = date(2026, 11, 20)
TYPES = ("refund.issue", "vendor.pay", "email.send")
RULE = """\
rules:
- id: extra
  owner: finance
  reason: An extra rule.
  when: {when}
  effect: {effect}
"""


def with_rule(when: str, effect: str = "require_approval", more: str = "") -> Document:
    """SMALL with one more rule in front."""
    rule = RULE.format(when=when, effect=effect) + more
    return make_document(SMALL, ("rules:\n", rule))


def member(person: str, *roles: str) -> Member:
    return Member(person, frozenset(roles), frozenset(roles))


EVERYBODY = People(
    (member("fred", "finance"), member("mona", "manager"), member("otto", "operations")),
    (HeldLimit("fred", "", "*", "EUR", 100_000),),
)


def found(
    document: Document, before: Document | None = None, people: People = EVERYBODY
) -> dict[str, Finding]:
    listed = findings(document, before=before, people=people, action_types=TYPES, today=TODAY)
    return {finding.code: finding for finding in listed}


def test_a_sound_document_has_no_findings() -> None:
    assert found(make_document(), before=make_document()) == {}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("{group: dispach}", "Did you mean 'dispatch'?"),
        ("{group: finance, alternatives: [legl]}", "Did you mean 'legal'?"),
        ("{group: finance, excludes: [suport]}", "Did you mean 'support'?"),
        ("{group: finance, escalates_to: managr}", "Did you mean 'manager'?"),
    ],
)
def test_a_team_nobody_has_made_is_an_error_with_its_line(asked: str, said: str) -> None:
    text = changed(SMALL, ("[{group: finance, within_limit: true}]", f"[{asked}]"))
    teams = (*DECIDING_ROLES, "dispatch")

    one, *_ = findings(
        parse_document(text), before=None, people=None, action_types=TYPES, teams=teams, text=text
    )

    assert (one.severity, one.code, one.what, one.line) == (
        "error", "unknown_team", "rule large", 12,
    )  # fmt: skip
    assert said in one.sentence


@pytest.mark.parametrize("name", ["dispatch", "owner:data", "owner:requester", "manager:subject"])
def test_made_teams_owners_and_line_managers_may_be_asked(name: str) -> None:
    text = changed(SMALL, ("[{group: finance, within_limit: true}]", f"[{{group: '{name}'}}]"))
    people = replace(EVERYBODY, members=(*EVERYBODY.members, member("dora", "dispatch")))

    listed = findings(
        parse_document(text),
        before=None,
        people=people,
        action_types=TYPES,
        teams=(*DECIDING_ROLES, "dispatch"),
    )

    assert listed == ()


@pytest.mark.parametrize("name", ["owner:dta", "manager:subjekt"])
def test_an_owner_of_no_kind_is_refused_with_the_kind_that_is_meant(name: str) -> None:
    with pytest.raises(DocumentError, match=r"Did you mean '(owner:data|manager:subject)'"):
        make_document(SMALL, ("[{group: finance, within_limit: true}]", f"[{{group: '{name}'}}]"))


# --- Words ---------------------------------------------------------------------------------------


def test_a_misspelt_action_type_is_found_and_the_right_one_offered() -> None:
    finding = found(with_rule("['action.type == \"refund.isue\"']"))["unknown_action_type"]

    assert (finding.severity, finding.what) == ("warning", "rule extra")
    assert finding.sentence == "there is no action type 'refund.isue'. Did you mean 'refund.issue'?"


def test_a_misspelt_action_type_in_a_rule_that_denies_is_an_error() -> None:
    finding = found(with_rule("['action.type in [\"vendor.pai\"]']", "deny"))["unknown_action_type"]

    assert finding.severity == "error"


def test_a_word_no_fact_ever_has_is_found() -> None:
    document = with_rule('[action.verb == "payy", \'"injektion" in evidence.flags\']')
    listed = findings(document, before=None, people=None, action_types=TYPES)

    assert [f.sentence for f in listed if f.code == "unknown_word"] == [
        "action.verb is never 'payy'. Did you mean 'pay'?",
        "evidence.flags is never 'injektion'. Did you mean 'injection'?",
    ]


@pytest.mark.parametrize(
    ("clause", "texts"),
    [
        ('action.type == "a.b" || "c.d" == action.type', ("a.b", "c.d")),
        ('action.type in ["a.b", "c.d"]', ("a.b", "c.d")),
        ('action.type.startsWith("a.")', ()),
        ('action.target == "a.b"', ()),
        ('action.type != "a.b" // action.type == "x.y"', ("a.b",)),
    ],
)
def test_texts_are_found_where_they_are_compared(clause: str, texts: tuple[str, ...]) -> None:
    assert literals_of(clause, "action.type") == texts


def test_findings_about_rules_have_their_line() -> None:
    text = SMALL.replace("action.amount > 100", "action.amount > 100 && action.amount < 100")
    (finding,) = findings(
        make_document(text), before=None, people=None, action_types=TYPES, text=text
    )

    assert text.splitlines()[finding.line - 1] == "- id: large"


# --- Never ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "when",
    [
        "[action.amount > 100, action.amount <= 100]",
        "[action.amount > 100 && 101 > action.amount]",
        "[customer.known, '!customer.known']",
        "['action.type == \"refund.issue\"', 'action.type == \"vendor.pay\"']",
        "['action.type == \"refund.issue\"', 'action.type != \"refund.issue\"']",
        "[agent.confidence < 0.5, agent.confidence >= 0.5]",
        "['(size(evidence.flags) == 0)', size(evidence.flags) > 0]",
        "[action.amount == 5, action.amount != 5]",
    ],
)
def test_a_rule_that_contradicts_itself_is_found(when: str) -> None:
    assert found(with_rule(when))["never_matches"].severity == "warning"
    assert found(with_rule(when, "deny"))["never_matches"].severity == "error"


@pytest.mark.parametrize(
    "when",
    [
        "[action.amount > 100, action.amount <= 101]",
        "[action.amount > 100 || action.amount <= 100]",
        "['!(customer.known && agent.over_ceiling)', customer.known]",
        "[agent.confidence > 0.5, agent.confidence < 0.6]",
        "[action.amount > velocity.target_sum_24h, action.amount < 5]",
    ],
)
def test_a_rule_that_can_match_is_left_alone(when: str) -> None:
    assert "never_matches" not in found(with_rule(when))


_CLAUSES = st.lists(
    st.sampled_from(
        [
            f"{fact} {operator} {value}"
            for fact in ("action.amount", "velocity.duplicates")
            for operator in ("<", "<=", ">", ">=", "==", "!=")
            for value in (0, 1, 2)
        ]
        + ["customer.known", "!customer.known", "action.amount in [0, 2]"]
    ),
    max_size=6,
)


@given(clauses=_CLAUSES, amount=st.integers(-1, 3), twins=st.integers(-1, 3), known=st.booleans())
def test_whatever_cel_says_matches_is_inside_the_region(
    clauses: list[str], amount: int, twins: int, known: bool
) -> None:
    facts = make_facts(action__amount=amount, velocity__duplicates=twins, customer__known=known)
    region = region_of(clauses)
    document = with_rule(str(["true", *clauses]), "deny")

    matches = evaluate(document, facts, version="x").verdict == "deny"

    flat = facts.flat()
    inside = all(span.holds(flat[fact]) for fact, span in region.spans.items())  # type: ignore[arg-type]
    assert region.opaque == frozenset()
    assert matches == inside
    assert not (matches and region.contradiction)


# --- Without effect ------------------------------------------------------------------------------


def test_a_rule_a_stricter_one_always_comes_with_is_found() -> None:
    finding = found(with_rule("[action.amount > 5000, customer.known]", "allow"))["without_effect"]

    assert finding.sentence == (
        "it has no effect: whenever it matches, large matches too and says require approval."
    )


def test_a_rule_that_raises_the_tier_has_an_effect() -> None:
    document = with_rule("[action.amount > 5000]", "allow", "  tier: 4\n")

    assert "without_effect" not in found(document)


# --- Standing approvals --------------------------------------------------------------------------


LANDLORD = (
    "['action.type == \"vendor.pay\"', 'action.counterparty == \"landlord\"', "
    "'velocity.customer_sum_30d <= 100000']"
)


def standing(until: str, instead_of: str = "large") -> Document:
    more = f"  standing: {{until: {until}, instead_of: [{instead_of}]}}\n"
    return with_rule(LANDLORD, "allow", more)


@pytest.mark.parametrize(
    ("until", "code", "severity"),
    [
        ("2026-11-19", "standing_expired", "warning"),
        ("2026-12-20", "standing_ends_soon", "note"),
        ("2027-11-22", "standing_too_long", "error"),
    ],
)
def test_a_standing_approval_has_its_time(until: str, code: str, severity: str) -> None:
    finding = found(standing(until))[code]

    assert (finding.severity, finding.what) == (severity, "rule extra")
    assert f" {date.fromisoformat(until):%-d %b %Y}" in finding.sentence


def test_a_standing_approval_for_a_while_is_fine_and_has_an_effect() -> None:
    assert found(standing("2027-11-21")) == {}
    assert found(standing("2026-12-21")) == {}


@pytest.mark.parametrize(
    ("total", "is_one"),
    [
        ("velocity.customer_sum_30d <= 100000", True),
        ("velocity.customer_count_24h < 3", True),
        ("velocity.target_sum_30d <= 100000", False),  # each invoice is another target
        ("velocity.customer_sum_30d >= 100000", False),
        ("action.amount <= 100000", False),
    ],
)
def test_a_standing_approval_needs_a_total(total: str, is_one: bool) -> None:
    more = "  standing: {until: 2027-03-31, instead_of: [large]}\n"
    clauses = LANDLORD.replace("velocity.customer_sum_30d <= 100000", total)

    said = found(with_rule(clauses, "allow", more))

    assert ("standing_without_total" in said) is not is_one


def test_a_new_standing_approval_and_a_longer_one_are_weaker() -> None:
    new = found(standing("2027-03-31"), before=make_document())["allows_more"]
    longer = found(standing("2027-06-30"), before=standing("2027-03-31"))["stands_longer"]

    assert new.sentence.endswith("by itself, instead of large, until 31 Mar 2027.")
    assert "until 30 Jun 2027" in longer.sentence
    assert "stands_longer" not in found(standing("2027-02-28"), before=standing("2027-03-31"))


# --- The agent's word about its sources ---------------------------------------------------------


@pytest.mark.parametrize(
    "when", ["'session.worst_source == \"own\"'", "['!(\"public\" in session.sources)']"]
)
def test_what_an_agent_says_of_its_sources_allows_nothing(when: str) -> None:
    when = when if when.startswith("[") else f"[{when}]"

    assert str(found(with_rule(when, "allow"))["claims_lower"].severity) == "error"
    assert "claims_lower" not in found(with_rule(when))
    assert "claims_lower" not in found(with_rule(when, "deny"))


def test_nor_does_it_replace_whom_the_matrix_asks() -> None:
    when = "['\"public\" in session.sources']"

    replaced = with_rule(when, more="  requirements: [{group: finance}]\n")
    added = with_rule(when, more="  adds: [{group: finance}]\n  tier: 4\n")

    assert "use adds" in found(replaced)["claims_lower"].sentence
    assert "claims_lower" not in found(added)


def test_nor_does_it_set_a_tier_that_would_be_the_highest_without_it() -> None:
    clause = "'session.worst_source == \"own\"'"
    tier = f"tiers:\n- tier: 0\n  reason: Says it is clean.\n  when: [{clause}]\n"

    said = found(make_document(SMALL, ("tiers:\n", tier)))["claims_lower"]

    assert "use a rule with tier:" in said.sentence


def test_a_class_of_sources_that_there_is_not_is_found() -> None:
    said = found(with_rule("['session.worst_source == \"publik\"']"))["unknown_word"]

    assert "Did you mean 'public'?" in said.sentence


def test_an_action_type_no_rule_names_is_said_to_go_to_people() -> None:
    schemas = {"refund.issue": {}, "ticket.announce": {}}

    said = findings(
        make_document(DEFAULT_TEXT), before=None, people=None, action_types=(), schemas=schemas
    )

    (one,) = (finding for finding in said if finding.code == "no_rule")
    assert one.what == "action type ticket.announce"
    assert one.severity is Severity.NOTE
