"""Static checks: what cannot be meant, what nobody can do, what got weaker."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.document import Document
from policies.evaluate import evaluate
from policies.findings import Finding
from policies.lint import findings
from policies.reach import HeldLimit, Member, People
from policies.terms import literals_of, region_of
from tests.policies.make import SMALL, make_document, make_facts

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


# --- Reach ---------------------------------------------------------------------------------------


def people(*members: Member, limits: tuple[HeldLimit, ...] = EVERYBODY.limits) -> People:
    return People(members, limits)


def test_a_group_without_members_is_an_error() -> None:
    nobody = people(member("fred", "finance"), member("mona", "manager"))

    finding = found(make_document(), people=nobody)["nobody_can_meet"]

    assert (finding.severity, finding.what) == ("error", "tier 5")
    assert finding.sentence == (
        "nobody can meet 'operations': there is nobody in operations. Add people or change it."
    )


def test_one_person_in_two_groups_is_not_two_people() -> None:
    both = people(member("fred", "finance"), member("mona", "manager", "operations"))

    assert "nobody_can_meet" in found(make_document(), people=both)


def test_whoever_audits_or_configures_is_nobody() -> None:
    barred = people(*EVERYBODY.members[:2], member("otto", "operations", "auditor"))

    assert "nobody_can_meet" in found(make_document(), people=barred)


def test_a_quorum_counts_distinct_people() -> None:
    two = make_document(
        SMALL, ("{group: finance, within_limit: true}", "{group: finance, quorum: 2}")
    )

    finding = found(two)["nobody_can_meet"]

    assert finding.what == "rule large"
    assert "only 1 of 2 in finance" in finding.sentence


def test_a_requirement_within_limit_needs_somebody_with_a_limit() -> None:
    without = people(*EVERYBODY.members, limits=())
    elsewhere = people(
        *EVERYBODY.members, limits=(HeldLimit("fred", "", "access.grant", "EUR", 5),)
    )
    by_role = people(*EVERYBODY.members, limits=(HeldLimit("", "finance", "*", "EUR", 5),))

    assert found(make_document(), people=without)["nobody_can_meet"].what == "rule large"
    assert "nobody_can_meet" in found(make_document(), people=elsewhere)
    assert "nobody_can_meet" not in found(make_document(), people=by_role)


def test_a_limit_further_up_is_where_it_climbs_to() -> None:
    above = people(*EVERYBODY.members, limits=(HeldLimit("mona", "", "*", "EUR", 5),))

    listed = found(make_document(), people=above)

    assert "nobody_can_meet" not in listed
    assert listed["climbs_at_once"].severity == "warning"


# --- Weaker --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("amount <= 100", "amount <= 400", "allows_more", "up to 400 instead of up to 100"),
        ("[action.amount <= 100]", '["true"]', "allows_more", "anything instead of up to 100"),
        ("action.amount > 100", "action.amount > 400", "matches_less", "from 401 instead of from"),
        (
            "[action.amount > 100]",
            "[action.amount > 100, customer.known || agent.over_ceiling]",
            "matches_less",
            "now also asks",
        ),
        ("effect: require_approval", "effect: allow", "effect_loosened", "allow instead of"),
        ("within_limit: true", "within_limit: false", "asks_fewer", "finance instead of finance"),
        ("[{group: manager}]", "[{group: support}]", "asks_fewer", "support instead of manager"),
        ("tier: 3\n  reason: Moves", "tier: 2\n  reason: Moves", "tier_lowered", "2 instead of 3"),
    ],
)
def test_what_got_weaker_is_said(old: str, new: str, code: str, says: str) -> None:
    text = SMALL
    if code == "effect_loosened":
        text = SMALL.replace("  requirements: [{group: finance, within_limit: true}]\n", "")
    finding = found(make_document(text, (old, new)), before=make_document(text))[code]

    assert finding.severity == "warning"
    assert says in finding.sentence


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("amount <= 100", "amount <= 50"),
        ("[action.amount <= 100]", "[action.amount <= 100, customer.known]"),
        ("action.amount > 100", "action.amount > 50"),
        ("effect: allow", "effect: deny"),
        ("{group: finance, within_limit: true}", "{group: finance, within_limit: true, quorum: 1}"),
    ],
)
def test_what_got_stricter_is_no_finding(old: str, new: str) -> None:
    assert found(make_document(SMALL, (old, new)), before=make_document()) == {}


def test_a_removed_rule_that_asked_people_is_weaker() -> None:
    start, end = SMALL.index("- id: large"), SMALL.index("tiers:")

    listed = found(make_document(SMALL[:start] + SMALL[end:]), before=make_document())

    assert listed["rule_removed"].sentence == "it is gone; it said require approval."


def test_the_old_versions_own_tests_are_asked_of_the_new_one() -> None:
    tests = "tests:\n- {name: mid, facts: {action.amount: 150}, expect: {verdict: allow}}\n"
    before = make_document(SMALL + tests)
    after = make_document(
        SMALL, ("action.amount <= 100", "action.amount <= 200"), ("amount > 100", "amount > 200")
    )

    finding = found(after, before=before)["test_weaker"]

    assert finding.what == 'test "mid"'
    assert "require approval by 1 of finance" in finding.sentence
    assert finding.sentence.endswith("this one allow at tier 3.")


def test_a_later_day_makes_no_difference_without_standing_approvals() -> None:
    listed = findings(
        make_document(),
        before=None,
        people=EVERYBODY,
        action_types=TYPES,
        today=TODAY + timedelta(days=999),
    )

    assert listed == ()
