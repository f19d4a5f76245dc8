"""How matching rules become one answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evaluate import evaluate
from policies.quorum import merged_requirements
from policies.verdicts import RequirementSpec, Verdict
from tests.policies.make import SMALL, changed, groups, make_document, make_facts

RULE = """\
- id: {id}
  owner: somebody
  reason: Because of {id}.
  when: {when}
  effect: {effect}
"""


def with_rule(id: str, effect: str, when: str = '["true"]', more: str = "") -> tuple[str, str]:
    text = RULE.format(id=id, when=when, effect=effect) + more
    return "rules:\n", f"rules:\n{text}"


def test_the_strictest_of_the_matching_rules_wins_wherever_it_stands() -> None:
    facts = make_facts(action__amount=50)
    plain = make_document(SMALL)
    asked = make_document(SMALL, with_rule("ask", "require_approval"))
    denied = make_document(
        SMALL,
        with_rule("allow", "allow"),
        with_rule("ask", "require_approval"),
        with_rule("no", "deny"),
    )

    assert evaluate(plain, facts, version="1").verdict == Verdict.ALLOW
    assert evaluate(asked, facts, version="1").verdict == Verdict.REQUIRE_APPROVAL
    assert evaluate(denied, facts, version="1").verdict == Verdict.DENY
    assert evaluate(denied, facts, version="1").requirements == ()


def test_the_trace_keeps_near_misses_clause_by_clause() -> None:
    when = "[action.amount <= 100, customer.known]"
    document = make_document(SMALL, with_rule("known", "allow", when))

    found = evaluate(document, make_facts(action__amount=50), version="1")

    near = found.trace[0]
    assert (near.rule, near.matched) == ("known", False)
    assert [(c.text, c.outcome) for c in near.clauses] == [
        ("action.amount <= 100", "true"),
        ("customer.known", "false"),
    ]
    assert [rule.rule for rule in found.matched] == ["small"]
    assert found.version == "1"


def test_a_floor_raises_the_tier_and_an_allow_rule_never_lowers_it() -> None:
    facts = make_facts(action__amount=50)
    raised = make_document(SMALL, with_rule("floor", "allow", more="  tier: 5\n"))
    lowered = make_document(SMALL, with_rule("floor", "allow", more="  tier: 1\n"))

    assert evaluate(raised, facts, version="1").tier == 5
    assert evaluate(raised, facts, version="1").tier_reason == "Because of floor."
    assert evaluate(lowered, facts, version="1").tier == 3


@pytest.mark.parametrize("tier", [4, 5])
def test_from_tier_four_nothing_is_ever_allowed_without_people(tier: int) -> None:
    document = make_document(SMALL, with_rule("floor", "allow", more=f"  tier: {tier}\n"))

    found = evaluate(document, make_facts(action__amount=50), version="1")

    assert found.verdict == Verdict.REQUIRE_APPROVAL
    assert found.requirements
    assert found.trace[-1].rule == "never-automatic"


def test_a_supervised_action_is_never_allowed_without_people() -> None:
    facts = make_facts(action__amount=50, action__supervised=True)

    found = evaluate(make_document(), facts, version="1")

    assert (found.verdict, found.tier) == (Verdict.REQUIRE_APPROVAL, 3)
    assert groups(found.requirements) == ["manager"]


def test_what_lacks_its_required_evidence_is_never_allowed_without_people() -> None:
    text = changed(
        SMALL,
        (
            "tier: 3\n  requirements: [{group: manager}]\n  evidence: []",
            "tier: 3\n  requirements: [{group: manager}]\n  evidence: [charge]",
        ),
    )
    there = make_facts(action__amount=50, evidence__kinds=["charge"])

    missing = evaluate(make_document(text), make_facts(action__amount=50), version="1")
    present = evaluate(make_document(text), there, version="1")

    assert missing.verdict == Verdict.REQUIRE_APPROVAL
    assert "charge" in missing.trace[-1].reason
    assert present.verdict == Verdict.ALLOW
    assert [demand.kind for demand in present.evidence_required] == ["charge"]


def test_a_rules_people_replace_the_matrix_on_low_tiers_and_join_it_on_high_ones() -> None:
    facts = make_facts(action__amount=500)
    high = make_document(SMALL, with_rule("floor", "require_approval", more="  tier: 5\n"))

    assert groups(evaluate(make_document(), facts, version="1").requirements) == ["finance"]
    assert groups(evaluate(high, facts, version="1").requirements) == [
        "finance",
        "manager",
        "operations",
    ]


def test_added_people_come_on_top_of_the_matrix_and_of_other_rules() -> None:
    more = "  adds: [{group: security}]\n"
    document = make_document(SMALL, with_rule("odd", "require_approval", more=more))

    small = evaluate(document, make_facts(action__amount=50), version="1")
    large = evaluate(document, make_facts(action__amount=500), version="1")

    assert groups(small.requirements) == ["manager", "security"]
    assert groups(large.requirements) == ["finance", "security"]


def test_asking_on_a_tier_that_names_nobody_borrows_people_from_above() -> None:
    document = make_document(
        SMALL, with_rule("ask", "require_approval"), ("tiers:\n- tier: 3", "tiers:\n- tier: 0")
    )

    found = evaluate(document, make_facts(action__amount=50), version="1")

    assert (found.tier, groups(found.requirements)) == (0, ["manager"])


def test_the_narrowest_override_of_the_matrix_wins() -> None:
    text = SMALL + (
        "- {tier: 3, action_type: refund.issue, reason_required: true}\n"
        "- {tier: 3, action_type: refund.*, reason_required: false, decide_by: 1h, execute_by: 2h,"
        " requirements: [{group: legal}]}\n"
    )
    matrix = make_document(text).matrix

    assert matrix.cell(3, "refund.issue").reason_required
    assert groups(matrix.cell(3, "refund.issue").requirements) == ["legal"]
    assert not matrix.cell(3, "refund.other").reason_required
    assert groups(matrix.cell(3, "refunds.issue").requirements) == ["manager"]
    assert groups(matrix.cell(2, "refund.issue").requirements) == ["manager"]


def test_merging_takes_the_strictest_of_each_group() -> None:
    loose = RequirementSpec("finance", quorum=2)
    tight = RequirementSpec("finance", stage=2, within_limit=True)

    assert merged_requirements([loose, RequirementSpec("legal"), tight]) == (
        RequirementSpec("finance", quorum=2, stage=2, within_limit=True),
        RequirementSpec("legal"),
    )


facts = st.builds(
    lambda amount, known, flags, confidence, supervised: make_facts(
        action__amount=amount,
        action__supervised=supervised,
        customer__known=known,
        evidence__flags=flags,
        agent__confidence=confidence,
    ),
    st.integers(0, 300),
    st.booleans(),
    st.lists(st.sampled_from(["injection", "bidi"]), max_size=2),
    st.floats(-1, 1),
    st.booleans(),
)
conditions = st.sampled_from(
    [
        '["true"]',
        "[action.amount > 200]",
        "[customer.known]",
        "[size(evidence.flags) > 0]",
        "[agent.confidence < 0.5]",
        "[100 / action.amount > 1]",
    ]
)
RANK = list(Verdict)


@given(
    facts=facts,
    rules=st.lists(st.tuples(st.sampled_from(RANK), conditions, st.integers(0, 5)), max_size=4),
    extra=st.tuples(st.sampled_from(RANK), conditions, st.integers(0, 5)),
)
def test_one_more_matching_rule_never_makes_the_answer_milder(facts, rules, extra) -> None:  # type: ignore[no-untyped-def]
    def document(several):  # type: ignore[no-untyped-def]
        added = [
            with_rule(f"r{n}", effect, when, more=f"  tier: {floor}\n")
            for n, (effect, when, floor) in enumerate(several)
        ]
        return make_document(SMALL, *added)

    before = evaluate(document(rules), facts, version="1")
    after = evaluate(document([*rules, extra]), facts, version="1")

    # Something always matches in SMALL, so a further rule cannot end a failure to match.
    assert RANK.index(after.verdict) >= RANK.index(before.verdict)
    assert after.tier >= before.tier


@given(facts=facts, rules=st.lists(st.tuples(st.sampled_from(RANK), conditions), max_size=4))
def test_an_answer_is_always_one_that_can_be_acted_on(facts, rules) -> None:  # type: ignore[no-untyped-def]
    document = make_document(
        SMALL, *(with_rule(f"r{n}", effect, when) for n, (effect, when) in enumerate(rules))
    )

    found = evaluate(document, facts, version="1")

    assert bool(found.requirements) == (found.verdict == Verdict.REQUIRE_APPROVAL)
    assert found == evaluate(document, facts, version="1")
    if found.verdict == Verdict.ALLOW:
        assert found.tier < 4
        assert not facts.action.supervised
        assert not any(c.outcome == "error" for rule in found.trace for c in rule.clauses)
