"""The floor: security's rules, evaluated with every version, which no version can weaken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.actors import Actor
from policies.evaluate import evaluate
from policies.facts import Facts
from policies.models import Backtest, PolicyVersion, User
from policies.parsing.parser import parse_document
from policies.parsing.yaml_source import DocumentError
from policies.quorum import merged_requirements
from policies.services.backtests import request_backtest
from policies.services.drafts import edit_draft, roll_back_to
from policies.services.evaluation import (
    InForce,
    active_version,
    evaluate_active,
    evaluate_together,
    versions_in_force,
)
from policies.services.versions import (
    DEFAULT_FLOOR,
    draft_version,
    install_default,
    install_default_floor,
    publish_version,
)
from policies.static_analysis.compare import compare
from policies.static_analysis.lint import failed_tests, findings
from policies.static_analysis.weaker import weaker
from policies.verdicts import HIGHEST_TIER, Evaluation, Verdict
from tests.database import triggers_off
from tests.policies.make import (
    SMALL,
    SYSTEM,
    changed,
    groups,
    make_deciders,
    make_document,
    make_facts,
    make_user,
    propose,
    put_in_force,
    refused,
    replay,
)

RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}
FLOOR = """\
kind: floor
rules:
- {id: large, owner: security, reason: Never that much., when: [action.amount > 1000], effect: deny}
- id: known
  owner: security
  reason: Security looks at strangers.
  when: ["!customer.known"]
  effect: require_approval
  tier: 4
  adds: [{group: security}]
tiers:
- {tier: 2, reason: Changes something., when: ['action.type == "vendor.pay"']}
"""
ALLOWS_ALL = changed(
    SMALL,
    ("rules:\n", "rules:\n- {id: all, owner: x, reason: All., when: ['true'], effect: allow}\n"),
    ("when: [action.amount > 100]", "when: ['false']"),
)


def together(text: str = SMALL, floor: str = FLOOR, **facts: Any) -> Evaluation:
    document = parse_document(text).under(parse_document(floor), "floor-1")
    return evaluate(document, make_facts(**{"customer__known": True, **facts}), version="1")


# --- What it says


def test_the_strictest_of_both_wins_and_the_answer_names_both() -> None:
    denied = together(ALLOWS_ALL, action__amount=1001)
    untouched = together(action__amount=50)

    assert (denied.verdict, denied.denied_by) == (Verdict.DENY, ["floor.large"])
    assert (denied.version, denied.floor) == ("1", "floor-1")
    assert untouched.verdict == Verdict.ALLOW


def test_it_adds_people_and_raises_tiers_and_replaces_nobody() -> None:
    without = evaluate(make_document(), make_facts(action__amount=500), version="1")

    found = together(action__amount=500, customer__known=False)

    assert groups(found.requirements) == sorted(
        {*groups(without.requirements), "manager", "security"}
    )
    assert (without.tier, found.tier) == (3, 4)
    assert found.tier_reason == "Security looks at strangers."


def test_no_version_weakens_it_by_a_rule_of_the_same_name_or_a_standing_approval() -> None:
    standing = changed(
        SMALL,
        (
            "rules:\n",
            "rules:\n"
            "- {id: known, owner: x, reason: Mine., when: ['!customer.known'],"
            " effect: require_approval}\n"
            "- {id: rent, owner: x, reason: Rent.,"
            " when: ['action.type == \"vendor.pay\"', 'action.counterparty == \"landlord\"'],"
            " effect: allow, standing: {until: 2030-01-01, instead_of: [known, large]}}\n",
        ),
    )
    floor = FLOOR.replace("  tier: 4\n", "")

    found = together(
        standing,
        floor,
        customer__known=False,
        action__type="vendor.pay",
        action__counterparty="landlord",
        action__amount=500,
        time__today="2029-01-01",
    )

    assert found.standing == ("rent",)
    assert found.verdict == Verdict.REQUIRE_APPROVAL
    assert "security" in groups(found.requirements)


def test_nor_does_it_take_from_the_version_what_fails_closed() -> None:
    """A rule of the floor that matches is no rule of the version's, nor its tier a tier."""
    silent = changed(
        SMALL,
        ("when: [action.amount <= 100]", "when: ['false']"),
        ("when: [action.amount > 100]", "when: ['false']"),
    )
    homeless = changed(SMALL, ('when: ["true"]', 'when: ["false"]'))

    assert together(silent, customer__known=False).failed_closed == "No rule matched."
    assert together(silent, customer__known=False).tier == HIGHEST_TIER
    assert together(homeless, action__type="vendor.pay").tier == HIGHEST_TIER


def test_an_error_in_one_of_its_clauses_sends_everything_to_people() -> None:
    broken = FLOOR.replace("action.amount > 1000", "1 / action.amount > 2")

    found = together(floor=broken, action__amount=0)

    assert found.failed_closed == "A condition of floor.large could not be evaluated."
    assert found.tier == HIGHEST_TIER


facts = st.builds(
    lambda amount, known, kind: make_facts(
        action__amount=amount, customer__known=known, action__type=kind
    ),
    st.integers(0, 2000),
    st.booleans(),
    st.sampled_from(["vendor.pay", "crm.tag", ""]),
)


@given(facts, st.sampled_from([SMALL, ALLOWS_ALL]))
def test_above_a_floor_nothing_is_ever_looser(asked: Facts, text: str) -> None:
    document, floor = parse_document(text), parse_document(FLOOR)

    alone, below = evaluate(document, asked, version="1"), evaluate(floor, asked, version="1")
    both = evaluate(document.under(floor, "f"), asked, version="1")

    assert RANK[both.verdict] >= max(RANK[alone.verdict], RANK[below.verdict])
    assert both.tier >= max(alone.tier, below.tier)
    if both.verdict == Verdict.REQUIRE_APPROVAL == alone.verdict and both.tier == alone.tier:
        assert set(merged_requirements(alone.requirements)) <= set(both.requirements)


# --- What it may say


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("effect: deny", "effect: allow", "a floor allows nothing"),
        ("  adds: [", "  requirements: [", "write adds for requirements"),
        ("action.amount > 1000", "action.amount > param.most", "param"),
        ("kind: floor\n", "kind: floor\nmatrix: []\n", "matrix"),
        ("kind: floor\n", "kind: floor\nparameters: {most: 5}\n", "parameters"),
    ],
)
def test_what_a_floor_cannot_be(old: str, new: str, problem: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        parse_document(changed(FLOOR, (old, new)))

    assert any(problem in str(one) for one in refusal.value.problems)


def test_the_default_floor_passes_its_own_tests_and_the_checks() -> None:
    floor = parse_document(DEFAULT_FLOOR.read_text())

    assert floor.is_floor
    assert failed_tests(floor) == ()
    assert findings(floor, before=None, people=None, action_types=()) == ()


def test_a_loosened_floor_is_found_and_compared_like_a_policy() -> None:
    before, after = parse_document(FLOOR), parse_document(FLOOR.replace("> 1000", "> 2000"))

    assert {one.what for one in weaker(before, after)} == {"rule large"}
    assert {one.what for one in compare(before, after)} == {"rule large"}


def test_lint_names_the_rules_it_shadows() -> None:
    text = changed(
        SMALL,
        (
            "rules:\n",
            "rules:\n- {id: huge, owner: x, reason: Huge., when: [action.amount > 5000],"
            " effect: require_approval}\n",
        ),
    )

    found = findings(
        parse_document(text),
        before=None,
        people=None,
        action_types=(),
        floor=parse_document(FLOOR),
    )

    (said,) = [one for one in found if one.code == "shadowed_by_floor"]
    assert said.what == "rule huge"
    assert "the floor's rule large matches too and says deny" in said.sentence


# --- Who publishes it, and what is in force


@pytest.fixture
def sara(db: None) -> User:
    make_deciders()
    return make_user("sara", "security")


@pytest.fixture
def sven(db: None) -> User:
    return make_user("sven", "security")


@pytest.fixture
def rita(db: None) -> User:
    return make_user("rita", "risk owner")


@pytest.fixture
def rolf(db: None) -> User:
    return make_user("rolf", "risk owner")


def test_two_people_of_security_publish_it_beside_the_policy(
    sara: User, sven: User, rita: User, rolf: User
) -> None:
    policy = put_in_force(SMALL, author=rita, publisher=rolf)
    floor = put_in_force(FLOOR, author=sara, publisher=sven)

    assert versions_in_force() == InForce(policy, floor)
    assert active_version() == policy
    assert (floor.kind, floor.label[:6]) == ("floor", "floor-")
    found = evaluate_active(make_facts(action__amount=1001))[1]
    assert (found.verdict, found.version, found.floor) == (
        Verdict.DENY,
        policy.label,
        floor.label,
    )

    second = put_in_force(FLOOR + "# two\n", author=sara, publisher=sven)

    floor.refresh_from_db()
    assert (floor.status, versions_in_force()) == ("retired", InForce(policy, second))


@pytest.mark.parametrize("role", ["risk owner", "ops admin", "manager"])
def test_the_villain_who_is_not_of_security_changes_nothing_of_it(
    sara: User, sven: User, role: str
) -> None:
    villain = make_user("victor", role, is_superuser=True)
    draft = draft_version(FLOOR, author=sara, reason="start")
    code = "not_security" if role != "manager" else "not_risk_owner"

    with refused(code):
        draft_version(FLOOR, author=villain, reason="mine")
    with refused("not_security"):
        edit_draft(draft.pk, FLOOR + "# mine\n", editor=villain, reason="x")
    with refused("not_security"):
        request_backtest(draft.pk, actor=Actor.human(villain))
    propose(draft, sara)
    with refused("not_security"):
        publish_version(draft.pk, publisher=villain, reason="x")
    with refused("own_draft"):
        publish_version(draft.pk, publisher=sara, reason="x")


def test_security_writes_no_policy_and_a_draft_stays_what_it_is(sara: User, rita: User) -> None:
    with refused("not_risk_owner"):
        draft_version(SMALL, author=sara, reason="mine")
    with refused("other_kind"):
        floor = draft_version(FLOOR, author=sara, reason="start")
        edit_draft(floor.pk, SMALL, editor=sara, reason="x")
    with refused("other_kind"):
        policy = draft_version(SMALL, author=rita, reason="start")
        edit_draft(policy.pk, FLOOR, editor=rita, reason="x")


def test_a_retired_floor_is_rolled_back_to(sara: User, sven: User) -> None:
    first = put_in_force(FLOOR, author=sara, publisher=sven)
    put_in_force(FLOOR + "# two\n", author=sara, publisher=sven)

    again = roll_back_to(first.pk, actor=Actor.human(sara), reason="back")

    assert (again.kind, again.document) == ("floor", FLOOR)


def test_a_replay_counts_for_the_floor_it_was_made_with(
    sara: User, sven: User, rita: User, rolf: User
) -> None:
    draft = propose(draft_version(SMALL, author=rita, reason="start"), rita)
    floor = put_in_force(FLOOR, author=sara, publisher=sven)

    with refused("outdated"):
        publish_version(draft.pk, publisher=rolf, reason="x")

    replay(draft)
    publish_version(draft.pk, publisher=rolf, reason="x")
    assert Backtest.objects.filter(version=draft, beside=floor).exists()


def test_what_the_floor_denies_stays_denied_without_a_readable_policy(
    sara: User, sven: User, rita: User, rolf: User
) -> None:
    policy = put_in_force(SMALL, author=rita, publisher=rolf)
    floor = put_in_force(FLOOR, author=sara, publisher=sven)
    large, small = make_facts(action__amount=1001), make_facts(action__amount=5)
    with triggers_off():
        PolicyVersion.objects.filter(pk=policy.pk).update(digest="0" * 64)

    for broken in (versions_in_force(), InForce(None, floor)):
        assert evaluate_together(broken, large).verdict == Verdict.DENY
        people = evaluate_together(broken, small)
        assert (people.tier, people.verdict) == (HIGHEST_TIER, Verdict.REQUIRE_APPROVAL)
        assert groups(people.requirements) == ["manager", "operations", "security"]


def test_without_a_readable_floor_people_decide_and_a_denial_stands(
    sara: User, sven: User, rita: User, rolf: User
) -> None:
    put_in_force(
        changed(
            SMALL,
            (
                "rules:\n",
                "rules:\n- {id: no, owner: x, reason: No., when: [customer.known], effect: deny}\n",
            ),
        ),
        author=rita,
        publisher=rolf,
    )
    floor = put_in_force(FLOOR, author=sara, publisher=sven)
    with triggers_off():
        PolicyVersion.objects.filter(pk=floor.pk).update(digest="0" * 64)

    found = evaluate_active(make_facts(action__amount=5))[1]
    denied = evaluate_active(make_facts(action__amount=5, customer__known=True))[1]

    assert (found.tier, found.verdict) == (HIGHEST_TIER, Verdict.REQUIRE_APPROVAL)
    assert denied.verdict == Verdict.DENY


def test_an_installation_begins_with_both_and_each_once(db: None) -> None:
    make_deciders()

    policy, floor = install_default(actor=SYSTEM), install_default_floor(actor=SYSTEM)

    assert versions_in_force() == InForce(policy, floor)
    assert install_default_floor(actor=SYSTEM) is None
