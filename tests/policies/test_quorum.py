"""Counting approvals: the properties people rely on, and a brute-force oracle."""

from __future__ import annotations

from itertools import permutations, product

from hypothesis import given
from hypothesis import strategies as st

from policies.quorum import Approval, Progress, all_met, progress
from policies.verdicts import RequirementSpec

GROUPS = ["finance", "manager", "security"]
PEOPLE = ["alice", "bob", "charlie", "dora"]
approvals = st.lists(
    st.builds(Approval, st.sampled_from(PEOPLE), st.sampled_from(GROUPS)), max_size=6
)
requirements = st.lists(
    st.builds(
        RequirementSpec,
        st.sampled_from(GROUPS),
        quorum=st.integers(1, 2),
        stage=st.integers(1, 2),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda spec: spec.group,
)


def says(*pairs: tuple[str, str]) -> list[Approval]:
    return [Approval(person, group) for person, group in pairs]


def possible(specs: list[RequirementSpec], given: list[Approval]) -> bool:
    """Brute force: is there a way to place people so that every requirement has its number?"""
    people = sorted({a.person for a in given})
    said = {(a.person, a.group) for a in given}
    for places in product([None, *range(len(specs))], repeat=len(people)):
        allowed = all(
            place is None or (person, specs[place].group) in said
            for person, place in zip(people, places, strict=True)
        )
        if allowed and all(places.count(n) >= spec.quorum for n, spec in enumerate(specs)):
            return True
    return False


def test_two_groups_mean_two_people() -> None:
    both = [RequirementSpec("finance"), RequirementSpec("manager")]

    assert not all_met(both, says(("alice", "finance"), ("alice", "manager")))
    assert all_met(both, says(("alice", "finance"), ("bob", "manager")))


def test_whoever_could_count_for_both_is_placed_where_it_helps() -> None:
    both = [RequirementSpec("finance"), RequirementSpec("manager")]

    # Alice is placed on finance first, and moves over when Bob can only be finance.
    assert all_met(both, says(("alice", "finance"), ("alice", "manager"), ("bob", "finance")))


def test_two_of_three_need_two_different_people() -> None:
    two = [RequirementSpec("finance", quorum=2)]

    assert not all_met(two, says(("alice", "finance"), ("alice", "finance")))
    assert all_met(two, says(("alice", "finance"), ("bob", "finance")))


def test_a_later_stage_opens_when_the_earlier_one_is_met() -> None:
    first, second = RequirementSpec("finance"), RequirementSpec("manager", stage=2)

    before = progress([second, first], [])
    early = progress([second, first], says(("bob", "manager")))
    after = progress([second, first], says(("alice", "finance")))
    done = progress([second, first], says(("bob", "manager"), ("alice", "finance")))

    assert [(p.met, p.open) for p in before] == [(False, False), (False, True)]
    assert [p.met_count for p in early] == [0, 0]
    assert [(p.met, p.open) for p in after] == [(False, True), (True, False)]
    assert [p.met for p in done] == [True, True]


def test_an_approval_for_a_group_nobody_asked_counts_for_nothing() -> None:
    assert progress([RequirementSpec("finance")], says(("alice", "legal"))) == (
        Progress(RequirementSpec("finance"), 0, False, True),
    )


def test_no_requirements_are_never_met() -> None:
    assert not all_met([], says(("alice", "finance")))


@given(requirements, approvals)
def test_it_agrees_with_trying_every_placement(
    specs: list[RequirementSpec], given: list[Approval]
) -> None:
    assert all_met(specs, given) == possible(specs, given)


@given(requirements, approvals)
def test_one_person_never_counts_twice(specs: list[RequirementSpec], given: list[Approval]) -> None:
    found = progress(specs, given)

    assert sum(p.met_count for p in found) <= len({a.person for a in given})
    assert all(p.met_count <= p.spec.quorum for p in found)
    assert all(p.met == (p.met_count == p.spec.quorum) for p in found)
    assert not any(p.met and p.open for p in found)


@given(requirements, approvals, approvals)
def test_more_approvals_never_take_anything_back(
    specs: list[RequirementSpec], first: list[Approval], more: list[Approval]
) -> None:
    before, after = progress(specs, first), progress(specs, first + more)

    assert all(b.met_count <= a.met_count for b, a in zip(before, after, strict=True))
    assert all(a.met for b, a in zip(before, after, strict=True) if b.met)


@given(requirements, approvals)
def test_nothing_of_a_later_stage_counts_before_the_earlier_ones_are_met(
    specs: list[RequirementSpec], given: list[Approval]
) -> None:
    found = progress(specs, given)
    for one in found:
        earlier = [p for p in found if p.spec.stage < one.spec.stage]
        if not all(p.met for p in earlier):
            assert (one.met_count, one.open) == (0, False)


@given(
    requirements,
    st.lists(st.builds(Approval, st.sampled_from(PEOPLE), st.sampled_from(GROUPS)), max_size=4),
)
def test_the_order_of_approvals_never_decides_whether_all_is_met(
    specs: list[RequirementSpec], given: list[Approval]
) -> None:
    answers = {all_met(specs, list(order)) for order in permutations(given)}

    assert len(answers) == 1
