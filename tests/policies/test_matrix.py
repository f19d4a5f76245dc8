"""Operating models and patterns mean something: the parser holds them to it, the engine acts."""

from __future__ import annotations

from typing import Any

import pytest

from policies.evaluate import evaluate
from policies.matrix import OperatingModel, Pattern
from policies.parsing.yaml_source import DocumentError
from policies.verdicts import Evaluation, Verdict
from tests.policies.make import SMALL, changed, make_document, make_facts

ALLOW, ASK = Verdict.ALLOW, Verdict.REQUIRE_APPROVAL
OVERRIDE = "- {{tier: {tier}, action_type: refund.*, {more}}}\n"


def with_cell(more: str, tier: int = 3) -> str:
    return SMALL + OVERRIDE.format(tier=tier, more=more)


def judge(more: str, **facts: Any) -> Evaluation:
    values = {"action__type": "refund.issue", "action__amount": 50, **facts}
    return evaluate(make_document(with_cell(more)), make_facts(**values), version="1")


def test_on_the_loop_what_rules_allow_runs() -> None:
    assert judge("operating_model: on the loop").verdict == ALLOW


@pytest.mark.parametrize("model", ["in the loop", "assisted"])
def test_in_the_loop_and_assisted_nothing_runs_by_itself(model: str) -> None:
    found = judge(f"operating_model: {model}")

    assert (found.verdict, found.operating_model) == (ASK, model)
    assert found.trace[-1].rule == "never-automatic"
    assert model in found.trace[-1].reason


@pytest.mark.parametrize(
    ("reversibility", "verdict"),
    [
        ("read-only", ALLOW),
        ("reversible", ALLOW),
        ("externally reversible", ALLOW),
        ("irreversible", ASK),
    ],
)
def test_controlled_autonomy_stops_at_what_cannot_be_undone(
    reversibility: str, verdict: Verdict
) -> None:
    found = judge("operating_model: controlled autonomy", action__reversibility=reversibility)

    assert found.verdict == verdict


@pytest.mark.parametrize(("sample", "verdict"), [(0, ASK), (9, ASK), (10, ALLOW), (99, ALLOW)])
def test_of_what_is_sampled_that_share_goes_to_people_and_says_so(
    sample: int, verdict: Verdict
) -> None:
    found = judge("pattern: sampled, sample_percent: 10", action__sample=sample)

    assert found.verdict == verdict
    if verdict == ASK:
        assert (found.trace[-1].rule, found.trace[-1].owner) == ("sampled", "countersign")
        assert "10 in 100" in found.trace[-1].reason
        assert found.requirements


def test_a_sample_takes_nothing_from_what_people_are_asked_anyway() -> None:
    found = judge("pattern: sampled, sample_percent: 100", action__amount=500)

    assert found.verdict == ASK
    assert "sampled" not in {entry.rule for entry in found.trace}


def test_exception_only_runs_until_something_is_odd() -> None:
    cell = "pattern: exception only"
    odd = "categories:\n  odd: {owner: x, meaning: Odd.}\n" + changed(
        with_cell(cell), ("effect: allow", "effect: allow\n  categories: [odd]")
    )
    facts = make_facts(action__type="refund.issue", action__amount=50)

    assert judge(cell).verdict == ALLOW
    assert judge(cell, evidence__flags=["bidi"]).verdict == ASK
    assert judge(cell, evidence__flags=["bidi"]).trace[-1].rule == "exception"
    assert evaluate(make_document(odd), facts, version="1").verdict == ASK
    assert judge("pattern: threshold", evidence__flags=["bidi"]).verdict == ALLOW


def test_the_pattern_people_see_is_the_one_of_the_people_asked() -> None:
    two = "[{group: finance}, {group: legal}]"
    document = make_document(SMALL, ("[{group: finance, within_limit: true}]", two))

    found = evaluate(document, make_facts(action__amount=500), version="1")

    assert found.pattern == Pattern.TWO_GROUPS


FITTING = [
    "pattern: single, requirements: [{group: legal}]",
    "pattern: two people, requirements: [{group: legal, quorum: 2}]",
    "pattern: two groups, requirements: [{group: legal}, {group: finance}]",
    "pattern: ordered stages, requirements: [{group: legal}, {group: finance, stage: 2}]",
    "pattern: no approval, requirements: []",
    "pattern: threshold",
    "pattern: exception only, requirements: []",
    "pattern: sampled, sample_percent: 100",
    "pattern: human-supervised, operating_model: assisted",
    "pattern: single, operating_model: in the loop",
]


@pytest.mark.parametrize("more", FITTING)
def test_a_pattern_that_is_what_it_says_is_fine(more: str) -> None:
    assert make_document(with_cell(more)).matrix.cell(3, "refund.issue").pattern in more


MISFITS = [
    ("pattern: single, requirements: [{group: legal, quorum: 2}]", "one requirement with quorum 1"),
    ("pattern: single, requirements: [{group: legal}, {group: finance}]", "with quorum 1"),
    ("pattern: two people", "quorum 2 or more"),
    ("pattern: two groups", "two requirements or more"),
    ("pattern: ordered stages, requirements: [{group: legal}, {group: finance}]", "two stages"),
    ("pattern: two groups, requirements: [{group: legal}, {group: finance, stage: 2}]", "one st"),
    ("pattern: no approval", "asks nobody; remove the requirements"),
    ("pattern: threshold, requirements: []", "a requirement for what is above it"),
    ("pattern: human-supervised", "write 'assisted'"),
    ("pattern: sampled", "sample_percent, from 1 to 100"),
    ("pattern: sampled, sample_percent: 0", "from 1 to 100"),
    ("pattern: threshold, operating_model: in the loop", "'in the loop' never does"),
    ("pattern: exception only, operating_model: assisted", "'assisted' never does"),
]


@pytest.mark.parametrize(("more", "message"), MISFITS)
def test_a_pattern_that_is_not_what_it_says_is_refused_with_its_place(
    more: str, message: str
) -> None:
    text = with_cell(more)
    with pytest.raises(DocumentError) as refused:
        make_document(text)

    (problem,) = refused.value.problems
    assert message in problem.message
    assert problem.line == text.count("\n")
    assert problem.column > 1


def test_a_percentage_is_for_samples_only() -> None:
    with pytest.raises(DocumentError, match="is for the pattern 'sampled'"):
        make_document(with_cell("sample_percent: 10"))


def test_an_override_of_the_people_alone_is_held_to_the_tiers_pattern() -> None:
    with pytest.raises(DocumentError, match=r"requirements, line .*'single' is one requirement"):
        make_document(with_cell("requirements: [{group: legal}, {group: finance}]"))


@pytest.mark.parametrize("tier", [4, 5])
@pytest.mark.parametrize("model", ["on the loop", "controlled autonomy"])
def test_from_tier_four_no_cell_claims_to_run_by_itself(tier: int, model: str) -> None:
    with pytest.raises(DocumentError, match=f"tier {tier} never runs without people"):
        make_document(with_cell(f"operating_model: {model}", tier))


def test_every_model_and_every_pattern_can_be_written() -> None:
    written = "".join(FITTING) + SMALL

    assert all(pattern in written for pattern in Pattern)
    assert {*OperatingModel} == {"assisted", "in the loop", "on the loop", "controlled autonomy"}
