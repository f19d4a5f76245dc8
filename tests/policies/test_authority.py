"""May this person? A decision table, an oracle written differently, and every villain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.actors import Actor, ActorKind
from audit.money import Money
from policies.authority import (
    Authority,
    Case,
    Decider,
    Limit,
    Refusal,
    best_limit,
    deciders_for,
    judge,
    limit_for,
    may_configure,
    may_decide,
)
from policies.models import User
from policies.services.limits import remove_limit, set_limit
from policies.verdicts import RequirementSpec
from tests.policies.make import SYSTEM, make_user

FINANCE = RequirementSpec("finance", within_limit=True)
ANYBODY = RequirementSpec("finance")


def euro(minor: int) -> Money:
    return Money(minor, "EUR")


def case(minor: int | None = 10_000, **changes: object) -> Case:
    amount = None if minor is None else euro(minor)
    return Case(action_type="refund.issue", amount=amount, tier=3, **changes)  # type: ignore[arg-type]


def limit(
    id: int, each: int, *, group: str = "", kind: str = "*", currency: str = "EUR",
    day: int | None = None,
) -> Limit:  # fmt: skip
    return Limit(id, group, kind, currency, each, day)


def alice(*groups: str, active: bool = True) -> Decider:
    return Decider("alice", active, frozenset(groups or ("finance",)))


# --- The pure judgement ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decider", "limits", "the_case", "requirement", "spent", "expected"),
    [
        (alice(), [limit(1, 10_000)], case(), FINANCE, 0, "ok"),
        (alice(active=False), [limit(1, 10_000)], case(), FINANCE, 0, "inactive"),
        (alice("support"), [limit(1, 10_000)], case(), FINANCE, 0, "not_in_group"),
        (alice("finance", "ops admin"), [limit(1, 10_000)], case(), FINANCE, 0, "never_decides"),
        (alice("finance", "auditor"), [limit(1, 10_000)], case(), FINANCE, 0, "never_decides"),
        (alice("finance", "agent owner"), [limit(1, 10_000)], case(), FINANCE, 0, "ok"),
        (alice(), [limit(1, 10_000)], case(involved={"alice": "agent owner"}), FINANCE, 0,
         "four_eyes"),
        (alice(), [limit(1, 10_000)], case(involved={"bob": "agent owner"}), FINANCE, 0, "ok"),
        (alice(), [limit(1, 10_000)], case(decided=frozenset({"alice"})), FINANCE, 0,
         "already_decided"),
        (alice(), [], case(), FINANCE, 0, "no_limit"),
        (alice(), [], case(), ANYBODY, 0, "ok"),
        (alice(), [], case(None), FINANCE, 0, "ok"),
        (alice(), [limit(1, 9_999)], case(), FINANCE, 0, "over_limit"),
        (alice(), [limit(1, 10_000, currency="USD")], case(), FINANCE, 0, "no_limit"),
        (alice(), [limit(1, 10_000, kind="vendor.*")], case(), FINANCE, 0, "no_limit"),
        (alice(), [limit(1, 10_000, day=15_000)], case(), FINANCE, 5_000, "ok"),
        (alice(), [limit(1, 10_000, day=15_000)], case(), FINANCE, 5_001, "over_daily_limit"),
        (alice("auditor"), [], case(), RequirementSpec("auditor"), 0, "never_decides"),
        (alice("agent owner"), [], case(), RequirementSpec("agent owner"), 0, "not_in_group"),
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
    answer = judge(decider, limits, the_case, requirement, spent_today=spent)

    assert (answer.code if isinstance(answer, Refusal) else "ok") == expected


def test_the_answer_names_its_grounds_and_a_refusal_reads_as_a_sentence() -> None:
    assert judge(alice(), [limit(7, 50_000)], case(), FINANCE, spent_today=0) == Authority(
        group="finance", limit_minor=50_000, limit_id=7
    )
    assert judge(alice(), [], case(), ANYBODY, spent_today=0) == Authority("finance", None, None)
    refusal = judge(alice(), [limit(7, 50_000)], case(50_001), FINANCE, spent_today=0)
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
    the_case = case(minor, involved=involved, decided=decided)

    answer = judge(decider, limits, the_case, requirement, spent_today=spent)

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
    larger = judge(decider, limits, case(minor), FINANCE, spent_today=spent)

    if isinstance(larger, Authority):
        smaller = judge(decider, limits, case(minor - 1), FINANCE, spent_today=spent)
        assert isinstance(smaller, Authority)


# --- With the database ----------------------------------------------------------------------------


def give_limit(
    each: int, *, user: User | None = None, role: str = "", day: int | None = None
) -> int:
    return set_limit(
        actor=SYSTEM,
        action_type="refund.*",
        currency="EUR",
        each_minor=each,
        per_day_minor=day,
        user_id=user.pk if user else None,
        role=role,
        reason="test",
    ).pk


def code(answer: Authority | Refusal) -> str:
    return answer.code if isinstance(answer, Refusal) else "ok"


@pytest.mark.django_db
def test_authority_is_read_fresh_whatever_the_instance_in_hand_remembers() -> None:
    user = make_user("alice", "finance")
    held = give_limit(50_000, user=user)
    assert code(may_decide(user, case(), FINANCE)) == "ok"

    remove_limit(held, actor=SYSTEM, reason="cut")
    assert code(may_decide(user, case(), FINANCE)) == "no_limit"

    user.groups.clear()
    assert code(may_decide(user, case(), FINANCE)) == "not_in_group"

    User.objects.filter(pk=user.pk).update(is_active=False)
    assert user.is_active
    assert code(may_decide(user, case(), FINANCE)) == "inactive"


@pytest.mark.django_db
def test_a_superuser_has_no_way_around() -> None:
    root = make_user("root", is_superuser=True)

    assert root.has_perm("approvals.anything")
    assert code(may_decide(root, case(), ANYBODY)) == "not_in_group"
    assert deciders_for(case(), ANYBODY) == []
    assert may_configure(Actor.human(root)) is not None


@pytest.mark.django_db
def test_a_second_account_of_an_involved_person_changes_nothing() -> None:
    second = make_user("alice.two", "finance", person="  Alice ")

    answer = may_decide(second, case(involved={"alice": "agent owner"}), ANYBODY)

    assert code(answer) == "four_eyes"
    assert (
        code(may_decide(second, case(decided=frozenset({"alice"})), ANYBODY)) == "already_decided"
    )


@pytest.mark.django_db
def test_limits_of_groups_one_has_left_count_no_more() -> None:
    user = make_user("alice", "finance", "manager")
    give_limit(20_000, role="finance")
    give_limit(90_000, role="manager")

    before = limit_for(user, "refund.issue", "EUR")
    user.groups.remove(user.groups.get(name="manager"))
    after = limit_for(user, "refund.issue", "EUR")

    assert before is not None
    assert after is not None
    assert (before.each_minor, after.each_minor) == (90_000, 20_000)
    assert limit_for(user, "vendor.pay", "EUR") is None


@pytest.mark.django_db
def test_the_deciders_are_exactly_those_who_may_decide() -> None:
    everybody = [
        make_user("alice", "finance"),
        make_user("bob", "finance"),
        make_user("charlie", "finance", "auditor"),
        make_user("dora", "finance", is_active=False),
        make_user("emil", "support"),
        make_user("frieda", "finance", person="owner"),
        make_user("gustav", "finance", is_superuser=True),
        make_user("hanna", "finance", "agent owner"),
    ]
    give_limit(5_000, role="finance", day=5_000)
    for user in (everybody[0], everybody[5], everybody[7]):
        give_limit(20_000, user=user, day=20_000)
    remove_limit(give_limit(20_000, user=everybody[1]), actor=SYSTEM, reason="cut")
    spent = {"hanna": 15_000}
    the_case = case(
        involved={"owner": "agent owner"}, spent_today=lambda user: spent.get(user.username, 0)
    )

    found = deciders_for(the_case, FINANCE)

    assert [user.username for user in found] == ["alice"]
    for requirement in (FINANCE, ANYBODY, RequirementSpec("manager")):
        expected = [u for u in everybody if code(may_decide(u, the_case, requirement)) == "ok"]
        assert deciders_for(the_case, requirement) == expected


@pytest.mark.django_db
def test_finding_the_deciders_costs_the_same_queries_however_many_there_are(
    django_assert_num_queries: object,
) -> None:
    for number in range(5):
        make_user(f"user{number}", "finance")
    give_limit(90_000, role="finance")

    with django_assert_num_queries(3):  # type: ignore[operator]
        assert len(deciders_for(case(), FINANCE)) == 5


@pytest.mark.django_db
def test_only_ops_admins_and_the_system_configure() -> None:
    admin, manager = make_user("olga", "ops admin"), make_user("max", "manager")
    former = make_user("fred", "ops admin", is_active=False)

    assert may_configure(SYSTEM) is None
    assert may_configure(Actor.human(admin)) is None
    for actor in (
        Actor.human(manager),
        Actor.human(former),
        Actor(ActorKind.AGENT, str(admin.pk), "clever agent"),
    ):
        refusal = may_configure(actor)
        assert refusal is not None
        assert refusal.code == "not_ops_admin"
