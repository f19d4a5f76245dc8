"""Authority of real accounts: read fresh from the database, and no way around it."""

from __future__ import annotations

import pytest

from audit.actors import Actor, ActorKind
from policies.authority import (
    Authority,
    Refusal,
    deciders_for,
    limit_for,
    may_configure,
    may_decide,
)
from policies.models import User
from policies.services.limits import remove_limit, set_limit
from policies.verdicts import RequirementSpec
from tests.policies.make import ANYBODY, FINANCE, SYSTEM, make_case, make_user

pytestmark = pytest.mark.django_db


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


def test_authority_is_read_fresh_whatever_the_instance_in_hand_remembers() -> None:
    user = make_user("alice", "finance")
    held = give_limit(50_000, user=user)
    assert code(may_decide(user, make_case(), FINANCE)) == "ok"

    remove_limit(held, actor=SYSTEM, reason="cut")
    assert code(may_decide(user, make_case(), FINANCE)) == "no_limit"

    user.groups.clear()
    assert code(may_decide(user, make_case(), FINANCE)) == "not_in_group"

    User.objects.filter(pk=user.pk).update(is_active=False)
    assert user.is_active
    assert code(may_decide(user, make_case(), FINANCE)) == "inactive"


def test_a_superuser_has_no_way_around() -> None:
    root = make_user("root", is_superuser=True)

    assert root.has_perm("approvals.anything")
    assert code(may_decide(root, make_case(), ANYBODY)) == "not_in_group"
    assert deciders_for(make_case(), ANYBODY) == []
    assert may_configure(Actor.human(root)) is not None


def test_a_second_account_of_an_involved_person_changes_nothing() -> None:
    second = make_user("alice.two", "finance", person="  Alice ")

    answer = may_decide(second, make_case(involved={"alice": "agent owner"}), ANYBODY)

    assert code(answer) == "four_eyes"
    assert (
        code(may_decide(second, make_case(decided=frozenset({"alice"})), ANYBODY))
        == "already_decided"
    )


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
    the_case = make_case(
        involved={"owner": "agent owner"}, spent_today=lambda user: spent.get(user.username, 0)
    )

    found = deciders_for(the_case, FINANCE)

    assert [user.username for user in found] == ["alice"]
    for requirement in (FINANCE, ANYBODY, RequirementSpec("manager")):
        expected = [u for u in everybody if code(may_decide(u, the_case, requirement)) == "ok"]
        assert deciders_for(the_case, requirement) == expected


def test_finding_the_deciders_costs_the_same_queries_however_many_there_are(
    django_assert_num_queries: object,
) -> None:
    for number in range(5):
        make_user(f"user{number}", "finance")
    give_limit(90_000, role="finance")

    with django_assert_num_queries(3):  # type: ignore[operator]
        assert len(deciders_for(make_case(), FINANCE)) == 5


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
