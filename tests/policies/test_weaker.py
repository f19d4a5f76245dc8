"""What nobody can do, and what got weaker than the version before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policies.static_analysis.lint import findings
from policies.static_analysis.reach import HeldLimit, Member, People
from tests.policies.make import SMALL, make_document
from tests.policies.test_lint import EVERYBODY, TODAY, TYPES, found, member

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


def test_a_parameter_is_the_number_it_stands_for() -> None:
    text = "parameters: {most: 100}\n" + SMALL.replace("amount <= 100", "amount <= param.most")
    raised = make_document(text, ("most: 100", "most: 400"))

    finding = found(raised, before=make_document(text))["allows_more"]

    assert finding.sentence.endswith("action.amount up to 400 instead of up to 100.")


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
