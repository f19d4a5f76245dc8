"""Counting approvals: the properties people rely on, and a brute-force oracle."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

from hypothesis import given
from hypothesis import strategies as st

from policies.quorum import Approval, Progress, all_met, progress, unmeetable
from policies.verdicts import RequirementSpec

GROUPS = ["finance", "manager", "security"]
PEOPLE = ["alice", "bob", "charlie", "dora"]
plain = st.lists(st.builds(Approval, st.sampled_from(PEOPLE), st.sampled_from(GROUPS)), max_size=6)
approvals = st.lists(
    st.builds(
        Approval,
        st.sampled_from(PEOPLE),
        st.sampled_from(GROUPS),
        on_behalf_of=st.sampled_from(["", "", *PEOPLE]),
        member_of=st.frozensets(st.sampled_from(GROUPS), max_size=1),
        limit_checked=st.booleans(),
    ).filter(lambda approval: approval.person != approval.on_behalf_of),
    max_size=6,
)
requirements = st.lists(
    st.builds(
        RequirementSpec,
        st.sampled_from(GROUPS),
        quorum=st.integers(1, 2),
        stage=st.integers(1, 2),
        within_limit=st.booleans(),
        alternatives=st.lists(st.sampled_from(GROUPS), max_size=2, unique=True).map(tuple),
        excludes=st.lists(st.sampled_from(GROUPS), max_size=1).map(tuple),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda spec: spec.group,
)
outsiders = st.frozensets(st.sampled_from(PEOPLE), max_size=2)


def says(*pairs: tuple[str, str]) -> list[Approval]:
    return [Approval(person, group) for person, group in pairs]


def suits(approval: Approval, spec: RequirementSpec) -> bool:
    """The oracle's own reading of what one yes is good for."""
    return (
        approval.group in {spec.group, *spec.alternatives}
        and approval.group not in spec.excludes
        and not any(role in spec.excludes for role in approval.member_of)
        and (approval.limit_checked or not spec.within_limit)
    )


def usable(
    specs: list[RequirementSpec], given: list[Approval], excluded: frozenset[str] = frozenset()
) -> list[Approval]:
    """First come, first counted: whoever was used up by a yes that somebody asked for is gone."""
    kept: list[Approval] = []
    for one in given:
        who = {one.person, one.on_behalf_of} - {""}
        asked = any(suits(one, spec) for spec in specs) and not who & excluded
        clashes = [k for k in kept if who & ({k.person, k.on_behalf_of} - {""})]
        same = all((k.person, k.on_behalf_of) == (one.person, one.on_behalf_of) for k in clashes)
        if asked and same:
            kept.append(one)
    return kept


def possible(
    specs: list[RequirementSpec], given: list[Approval], excluded: frozenset[str] = frozenset()
) -> bool:
    """Brute force: is there a way to place people so that every requirement has its number?"""
    said = usable(specs, given, excluded)
    people = sorted({a.person for a in said})
    for places in product([None, *range(len(specs))], repeat=len(people)):
        allowed = all(
            place is None or any(a.person == person and suits(a, specs[place]) for a in said)
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


def test_an_alternative_group_may_answer_and_no_other() -> None:
    either = [RequirementSpec("finance", alternatives=("legal",))]

    assert all_met(either, says(("lea", "legal")))
    assert all_met(either, says(("fred", "finance")))
    assert not all_met(either, says(("mona", "manager")))


def test_whoever_answered_as_an_alternative_moves_over_for_the_group_itself() -> None:
    specs = [
        RequirementSpec("finance", alternatives=("legal",)),
        RequirementSpec("legal", alternatives=("security",)),
    ]

    after_lea = progress(specs, says(("lea", "legal")))
    after_fred = progress(specs, says(("lea", "legal"), ("fred", "finance")))

    # Met by Lea, and still open: with Fred's yes hers counts for the other one.
    assert [(p.met, p.open, p.by) for p in after_lea] == [
        (True, True, ("lea",)),
        (False, True, ()),
    ]
    assert [(p.met, p.by) for p in after_fred] == [(True, ("fred",)), (True, ("lea",))]


def test_a_member_of_an_excluded_group_counts_for_nothing() -> None:
    outside = [RequirementSpec("finance", excludes=("support",))]
    alice = Approval("alice", "finance", member_of=frozenset({"finance", "support"}))

    assert not all_met(outside, [alice])
    assert all_met(outside, [replace(alice, member_of=frozenset({"finance"}))])


def test_neither_lender_nor_delegate_counts_a_second_time() -> None:
    two = [RequirementSpec("manager", quorum=2)]
    delegated = Approval("bob", "manager", on_behalf_of="max")

    for second in (
        Approval("max", "manager"),  # the delegator himself
        Approval("bob", "manager"),  # the delegate on his own authority
        Approval("carl", "manager", on_behalf_of="max"),  # another delegate of the same delegator
        Approval("carl", "manager", on_behalf_of="bob"),  # a delegate of the delegate
    ):
        assert not all_met(two, [delegated, second])
        assert not all_met(two, [second, delegated])
    assert all_met(two, [delegated, Approval("carl", "manager", on_behalf_of="mona")])


def test_what_was_said_without_a_limit_never_counts_where_one_is_asked() -> None:
    unchecked = Approval("alice", "finance", limit_checked=False)

    assert all_met([RequirementSpec("finance")], [unchecked])
    assert not all_met([RequirementSpec("finance", within_limit=True)], [unchecked])


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


def test_two_groups_whose_only_member_is_one_person_cannot_both_be_met() -> None:
    both = [RequirementSpec("finance"), RequirementSpec("legal")]

    assert unmeetable(both, [{"finance": {"alice"}}, {"legal": {"alice"}}]) == (1,)
    assert unmeetable(both, [{"finance": {"alice", "bob"}}, {"legal": {"alice"}}]) == ()
    assert unmeetable(both, [{"finance": set()}, {"legal": {"alice"}}]) == (0,)


def test_one_group_cannot_be_counted_on_to_stand_in_for_two() -> None:
    specs = [RequirementSpec("finance", alternatives=("manager",)), RequirementSpec("manager")]
    managers = {"mona", "max"}

    assert unmeetable(specs, [{"manager": managers}, {"manager": managers}]) != ()
    assert unmeetable(specs, [{"finance": {"f"}, "manager": managers}, {"manager": managers}]) == ()


@given(requirements, approvals, outsiders)
def test_it_agrees_with_trying_every_placement(
    specs: list[RequirementSpec], given: list[Approval], excluded: frozenset[str]
) -> None:
    assert all_met(specs, given, excluded=excluded) == possible(specs, given, excluded)


@given(requirements, approvals)
def test_one_person_never_counts_twice(specs: list[RequirementSpec], given: list[Approval]) -> None:
    found = progress(specs, given)
    counted = [person for p in found for person in p.by]

    assert len(counted) == len(set(counted))
    lenders = [
        {a.on_behalf_of for a in usable(specs, given) if a.person == person} for person in counted
    ]
    used = [*counted, *(lender for held in lenders for lender in held - {""})]
    assert len(used) == len(set(used))
    assert all(p.met_count == len(p.by) <= p.spec.quorum for p in found)
    assert all(p.met == (p.met_count == p.spec.quorum) for p in found)


@given(requirements, approvals, outsiders)
def test_exclusions_always_hold(
    specs: list[RequirementSpec], given: list[Approval], excluded: frozenset[str]
) -> None:
    for one in progress(specs, given, excluded=excluded):
        for person in one.by:
            assert person not in excluded
            assert any(a.person == person and suits(a, one.spec) for a in given)
            assert not all(a.on_behalf_of in excluded for a in given if a.person == person)


@given(requirements, approvals, approvals, outsiders)
def test_more_approvals_never_take_anything_back(
    specs: list[RequirementSpec],
    first: list[Approval],
    more: list[Approval],
    excluded: frozenset[str],
) -> None:
    before = progress(specs, first, excluded=excluded)
    after = progress(specs, first + more, excluded=excluded)

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


@given(requirements, approvals)
def test_what_is_open_counts_one_more_and_what_is_not_met_is_open_in_its_stage(
    specs: list[RequirementSpec], given: list[Approval]
) -> None:
    found = progress(specs, given)
    reached = [all(p.met for p in found if p.spec.stage < one.spec.stage) for one in found]
    for one, is_reached in zip(found, reached, strict=True):
        assert one.open or one.met or not is_reached
        answering = [group for group in one.spec.groups if group not in one.spec.excludes]
        if one.open and answering:
            more = progress(specs, [*given, Approval("emil", answering[0])])
            assert sum(p.met_count for p in more) > sum(p.met_count for p in found)


@given(requirements, plain.map(lambda given: given[:4]))
def test_the_order_of_approvals_never_decides_whether_all_is_met(
    specs: list[RequirementSpec], given: list[Approval]
) -> None:
    answers = {all_met(specs, list(order)) for order in permutations(given)}

    assert len(answers) == 1


@given(requirements, st.data())
def test_whether_there_are_people_enough_agrees_with_all_of_them_saying_yes(
    specs: list[RequirementSpec], data: st.DataObject
) -> None:
    """Without roles that two requirements share, it is the same question."""
    specs = [replace(s, alternatives=(), excludes=(), within_limit=False) for s in specs]
    pools = [data.draw(st.frozensets(st.sampled_from(PEOPLE))) for _ in specs]
    yes = [Approval(p, s.group) for s, pool in zip(specs, pools, strict=True) for p in sorted(pool)]

    short = unmeetable(specs, [{s.group: pool} for s, pool in zip(specs, pools, strict=True)])

    assert (short == ()) == possible(specs, yes)
