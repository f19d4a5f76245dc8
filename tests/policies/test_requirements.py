"""Who may answer, who may instead, who never counts; and what two rules that ask come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.parsing.yaml_source import DocumentError
from policies.quorum import merged_requirements
from policies.verdicts import RequirementSpec
from tests.policies.make import SMALL, make_document

PLAIN = "{group: finance, within_limit: true}"
ROLES = ["finance", "legal", "support", "manager", "executive"]


def one(text: str) -> RequirementSpec:
    return make_document(SMALL, (PLAIN, text)).rules[1].requirements[0]


def test_a_requirement_names_alternatives_and_whom_it_excludes() -> None:
    spec = one("{group: finance, alternatives: [legal, manager], excludes: [support]}")

    assert spec.groups == ("finance", "legal", "manager")
    assert spec.excludes == ("support",)


@pytest.mark.parametrize(
    ("text", "above"),
    [
        ("{group: finance}", "manager"),
        ("{group: manager}", "executive"),
        ("{group: executive}", "executive"),
        ("{group: finance, escalates_to: legal}", "legal"),
    ],
)
def test_what_nobody_answers_climbs_to_the_role_above(text: str, above: str) -> None:
    assert one(text).escalates_to == above


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("{group: finance, alternatives: [Legal]}", ".alternatives[0]", "Did you mean 'legal'?"),
        ("{group: finance, excludes: [auditor]}", ".excludes[0]", "not a role that decides"),
        ("{group: finance, alternatives: [finance]}", ".alternatives", "is the group itself"),
        ("{group: finance, alternatives: [legal, legal]}", ".alternatives", "used 2 times"),
        (
            "{group: finance, alternatives: [legal], excludes: [legal]}",
            ".excludes",
            "'legal' may answer and is excluded",
        ),
        ("{group: finance, excludes: [finance]}", ".excludes", "'finance' may answer and is"),
        ("{group: finance, excludes: [manager]}", "", "escalates to 'manager', which is excluded"),
    ],
)
def test_what_contradicts_itself_is_refused_where_it_stands(
    text: str, path: str, message: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        one(text)

    (problem,) = refused.value.problems
    assert problem.path == f"rules[1].requirements[0]{path}"
    assert message in problem.message
    assert problem.line > 1


specs = st.builds(
    RequirementSpec,
    group=st.sampled_from(["finance", "legal"]),
    quorum=st.integers(1, 3),
    stage=st.integers(1, 3),
    within_limit=st.booleans(),
    escalates_to=st.sampled_from(["manager", "executive", "security"]),
    alternatives=st.lists(st.sampled_from(ROLES[2:]), unique=True, max_size=3).map(tuple),
    excludes=st.lists(st.sampled_from([*ROLES[2:], "security"]), unique=True, max_size=2).map(
        tuple
    ),
).filter(lambda spec: not {*spec.groups} & {*spec.excludes})


def counts(spec: RequirementSpec, roles: set[str], has_limit: bool) -> bool:
    """Whether one person's yes counts: in a group that may answer, in none that is excluded."""
    may_answer = roles & {*spec.groups} and not roles & {*spec.excludes}
    return bool(may_answer) and (has_limit or not spec.within_limit)


@given(st.lists(specs, max_size=5), st.sets(st.sampled_from(ROLES)), st.booleans())
def test_a_merged_requirement_is_never_weaker_than_any_it_was_made_of(
    several: list[RequirementSpec], roles: set[str], has_limit: bool
) -> None:
    found = {spec.group: spec for spec in merged_requirements(several)}

    assert {*found} == {spec.group for spec in several}
    for spec in several:
        both = found[spec.group]
        assert both.quorum >= spec.quorum
        assert both.stage >= spec.stage
        if counts(both, roles, has_limit):
            assert counts(spec, roles, has_limit)
        assert not {*both.groups[1:]} & {*both.excludes}


def test_of_two_roles_to_climb_to_the_higher_one_stays() -> None:
    low, high = RequirementSpec("finance"), RequirementSpec("finance", escalates_to="executive")

    assert merged_requirements([low, high]) == merged_requirements([high, low]) == (high,)
