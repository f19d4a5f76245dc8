"""May this person? A decision table, an oracle written differently, and every villain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.authority import Authority, Case, Decider, Limit, Refusal, authorise, best_limit
from policies.verdicts import RequirementSpec
from tests.policies.make import ANYBODY, FINANCE, make_case


def limit(
    id: int, each: int, *, group: str = "", kind: str = "*", currency: str = "EUR",
    day: int | None = None,
) -> Limit:  # fmt: skip
    return Limit(id, group, kind, currency, each, day)


def alice(*groups: str, active: bool = True) -> Decider:
    return Decider("alice", active, frozenset(groups or ("finance",)))


@pytest.mark.parametrize(
    ("decider", "limits", "the_case", "requirement", "spent", "expected"),
    [
        (alice(), [limit(1, 10_000)], make_case(), FINANCE, 0, "ok"),
        (alice(active=False), [limit(1, 10_000)], make_case(), FINANCE, 0, "inactive"),
        (alice("support"), [limit(1, 10_000)], make_case(), FINANCE, 0, "not_in_group"),
        (alice("finance", "ops admin"), [limit(1, 10_000)], make_case(), FINANCE, 0,
         "never_decides"),
        (alice("finance", "auditor"), [limit(1, 10_000)], make_case(), FINANCE, 0, "never_decides"),
        (alice("finance", "agent owner"), [limit(1, 10_000)], make_case(), FINANCE, 0, "ok"),
        (alice(), [limit(1, 10_000)], make_case(involved={"alice": "agent owner"}), FINANCE, 0,
         "four_eyes"),
        (alice(), [limit(1, 10_000)], make_case(involved={"bob": "agent owner"}), FINANCE, 0, "ok"),
        (alice(), [limit(1, 10_000)], make_case(decided=frozenset({"alice"})), FINANCE, 0,
         "already_decided"),
        (alice(), [], make_case(), FINANCE, 0, "no_limit"),
        (alice(), [], make_case(), ANYBODY, 0, "ok"),
        (alice(), [], make_case(None), FINANCE, 0, "ok"),
        (alice(), [limit(1, 9_999)], make_case(), FINANCE, 0, "over_limit"),
        (alice(), [limit(1, 10_000, currency="USD")], make_case(), FINANCE, 0, "no_limit"),
        (alice(), [limit(1, 10_000, kind="vendor.*")], make_case(), FINANCE, 0, "no_limit"),
        (alice(), [limit(1, 10_000, day=15_000)], make_case(), FINANCE, 5_000, "ok"),
        (alice(), [limit(1, 10_000, day=15_000)], make_case(), FINANCE, 5_001, "over_daily_limit"),
        (alice("auditor"), [], make_case(), RequirementSpec("auditor"), 0, "never_decides"),
        (alice("agent owner"), [], make_case(), RequirementSpec("agent owner"), 0, "not_in_group"),
    ],
)  # fmt: skip
def test_the_decision_table(
    decider: Decider,
    limits: list[Limit],
    the_case: Case,
    requirement: RequirementSpec,
    spent: int,
    expected: str,
) -> None:
    answer = authorise(decider, limits, the_case, requirement, spent_today=spent)

    assert (answer.code if isinstance(answer, Refusal) else "ok") == expected


def test_the_answer_names_its_grounds_and_a_refusal_reads_as_a_sentence() -> None:
    assert authorise(alice(), [limit(7, 50_000)], make_case(), FINANCE, spent_today=0) == Authority(
        group="finance", limit_minor=50_000, limit_id=7
    )
    assert authorise(alice(), [], make_case(), ANYBODY, spent_today=0) == Authority(
        "finance", None, None
    )
    refusal = authorise(alice(), [limit(7, 50_000)], make_case(50_001), FINANCE, spent_today=0)
    assert refusal == Refusal("over_limit", "This is above your approval limit (500.00 EUR).")


def test_a_personal_limit_beats_the_groups_even_when_it_is_smaller() -> None:
    limits = [limit(1, 10), limit(2, 1_000, group="finance", kind="refund.issue")]

    assert best_limit(limits, "refund.issue", "EUR") == limits[0]


def test_of_the_groups_limits_the_largest_counts() -> None:
    limits = [limit(1, 500, group="finance"), limit(2, 1_000, group="manager")]

    assert best_limit(limits, "refund.issue", "EUR") == limits[1]


def test_of_one_holders_limits_the_narrowest_counts() -> None:
    limits = [
        limit(1, 9_000),
        limit(2, 500, kind="refund.*"),
        limit(3, 100, kind="refund.issue"),
    ]

    assert best_limit(limits, "refund.issue", "EUR") == limits[2]
    assert best_limit(limits, "refund.partial", "EUR") == limits[1]
    assert best_limit(limits, "vendor.pay", "EUR") == limits[0]


def oracle(
    decider: Decider, limits: list[Limit], the_case: Case, requirement: RequirementSpec, spent: int
) -> bool:
    """The rules once more, as a person would state them, in no particular order."""
    mine = [entry for entry in limits if entry.currency == "EUR"]
    mine = [entry for entry in mine if entry.action_type in ("refund.issue", "refund.*", "*")]
    order = ["refund.issue", "refund.*", "*"]

    def of(holder: str) -> list[Limit]:
        held = [entry for entry in mine if entry.group == holder]
        return sorted(held, key=lambda entry: order.index(entry.action_type))[:1]

    holders = sorted({entry.group for entry in mine} - {""})
    usable = of("") or [entry for holder in holders for entry in of(holder)]
    each = max((entry.each_minor for entry in usable), default=-1)
    days = [entry for entry in usable if entry.each_minor == each]
    per_day = min(days, key=lambda entry: entry.id).per_day_minor if days else None
    minor = the_case.amount.minor if the_case.amount else None
    affordable = (
        not requirement.within_limit
        or minor is None
        or (minor <= each and (per_day is None or spent + minor <= per_day))
    )
    return (
        affordable
        and decider.is_active
        and requirement.group in decider.groups
        and requirement.group in {"finance", "manager"}
        and "ops admin" not in decider.groups
        and "auditor" not in decider.groups
        and decider.person not in the_case.involved
        and decider.person not in the_case.decided
    )


roles = st.sampled_from(["finance", "manager", "auditor", "ops admin", "agent owner"])
limits = st.lists(
    st.builds(
        Limit,
        st.integers(1, 9),
        st.sampled_from(["", "finance", "manager"]),
        st.sampled_from(["refund.issue", "refund.*", "*", "vendor.pay"]),
        st.sampled_from(["EUR", "USD"]),
        st.integers(0, 3),
        st.none() | st.integers(0, 6),
    ),
    max_size=5,
    unique_by=(lambda entry: entry.id, lambda e: (e.group, e.action_type, e.currency)),
)


@given(
    decider=st.builds(
        Decider, st.sampled_from(["alice", "bob"]), st.booleans(), st.frozensets(roles, max_size=3)
    ),
    limits=limits,
    minor=st.none() | st.integers(0, 3),
    involved=st.dictionaries(st.sampled_from(["alice", "bob"]), st.just("editor"), max_size=1),
    decided=st.frozensets(st.sampled_from(["alice", "bob"]), max_size=1),
    requirement=st.builds(RequirementSpec, roles, within_limit=st.booleans()),
    spent=st.integers(0, 6),
)
def test_it_agrees_with_an_oracle(  # type: ignore[no-untyped-def]
    decider, limits, minor, involved, decided, requirement, spent
) -> None:
    the_case = make_case(minor, involved=involved, decided=decided)

    answer = authorise(decider, limits, the_case, requirement, spent_today=spent)

    allowed = isinstance(answer, Authority)
    assert allowed == oracle(decider, limits, the_case, requirement, spent)
    if isinstance(answer, Refusal):
        assert answer.code
        assert answer.message.endswith(".")


@given(limits=limits, minor=st.integers(1, 3), spent=st.integers(0, 6))
def test_who_may_approve_an_amount_may_approve_a_smaller_one(
    limits: list[Limit], minor: int, spent: int
) -> None:
    decider = alice("finance", "manager")
    larger = authorise(decider, limits, make_case(minor), FINANCE, spent_today=spent)

    if isinstance(larger, Authority):
        smaller = authorise(decider, limits, make_case(minor - 1), FINANCE, spent_today=spent)
        assert isinstance(smaller, Authority)
