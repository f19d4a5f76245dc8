"""Delegating authority: what may be delegated, who agrees, and how it is taken back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.money import Money
from policies.authority import Authority, may_decide, still_may_decide
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, Delegation, User
from policies.services import delegations
from policies.services.dual_control import agree
from tests.policies.delegating import (
    DAY,
    MANAGERS,
    ask,
    code,
    make_delegation,
    make_limit,
    now_case,
)
from tests.policies.make import codes, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def max_() -> User:
    user = make_user("max", "manager")
    make_limit(user, 20_000)
    return user


@pytest.fixture
def bob() -> User:
    return make_user("bob", "finance")


def test_nothing_is_lent_before_a_second_person_agrees(max_: User, bob: User) -> None:
    change = ask(max_, bob, group="manager", cap=Money(15_000, "EUR"))

    assert not Delegation.objects.exists()
    assert code(may_decide(bob, now_case(), MANAGERS)) == "not_in_group"
    assert change.beneficiary == "bob"
    assert "max delegates authority to bob (manager, *, up to 150.00 EUR)" in change.summary

    agree(change.pk, actor=Actor.human(make_user("ada", "ops admin")), reason="holiday")
    delegation = Delegation.objects.get()

    assert may_decide(bob, now_case(), MANAGERS) == Authority(
        "manager", 15_000, max_.approval_limits.get().pk, "max", delegation.pk
    )
    assert codes(change) == ["authority.proposed", "authority.agreed"]
    assert codes(delegation) == ["delegation.given"]
    assert delegation.agreed_by is not None
    assert delegation.agreed_by.username == "ada"


def test_neither_lender_nor_delegate_nor_a_stranger_is_the_second_person(
    max_: User, bob: User
) -> None:
    change = ask(max_, bob)
    villains = [max_, bob, make_user("mona", "manager"), make_user("root", is_superuser=True)]

    for villain in villains:
        with pytest.raises(PolicyError) as refusal:
            agree(change.pk, actor=Actor.human(villain), reason="why not")
        assert refusal.value.code == "not_ops_admin"

    assert not Delegation.objects.exists()


def test_a_second_account_of_the_lender_agrees_to_nothing(max_: User, bob: User) -> None:
    change = ask(max_, bob, actor=Actor.human(make_user("ada", "ops admin")))
    other = make_user("bob.admin", "ops admin")
    User.objects.filter(pk=other.pk).update(person="max")

    with pytest.raises(PolicyError) as refusal:
        agree(change.pk, actor=Actor.human(other), reason="mine")

    # whoever configures with one account never decides with another: there is nothing to delegate
    assert refusal.value.code == "never_decides"
    assert not Delegation.objects.exists()


def test_only_the_lender_or_an_ops_admin_asks(max_: User, bob: User) -> None:
    with pytest.raises(PolicyError) as refusal:
        ask(max_, bob, actor=Actor.human(bob))
    assert refusal.value.code == "not_yours_to_lend"

    assert ask(max_, bob, actor=Actor.human(make_user("ada", "ops admin"))).pk


def late(at: datetime) -> dict[str, Any]:
    return {"starts_at": at - DAY, "ends_at": at + DAY}


def over(at: datetime) -> dict[str, Any]:
    return {"starts_at": at, "ends_at": at - DAY}


def far_off(at: datetime) -> dict[str, Any]:
    starts_at = at + timedelta(days=367)
    return {"starts_at": starts_at, "ends_at": starts_at + timedelta(days=1)}


def at_the_end_of_days(at: datetime) -> dict[str, Any]:
    """No database can say when that is in another time zone."""
    return {
        "starts_at": datetime(9999, 12, 31, 23, tzinfo=UTC),
        "ends_at": datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=12))),
    }


def too_long(at: datetime) -> dict[str, Any]:
    return {"starts_at": at, "ends_at": at + timedelta(days=90, minutes=1)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (lambda at: {"group": "finance"}, "not_in_group"),
        (lambda at: {"group": "auditor"}, "unknown_role"),
        (lambda at: {"action_type": "refund"}, "unknown_pattern"),
        (lambda at: {"cap": Money(20_001, "EUR")}, "cap_too_high"),
        (lambda at: {"cap": Money(1, "USD")}, "cap_too_high"),
        (lambda at: {"cap": Money(1, "EUR"), "action_type": "vendor.pay"}, "cap_too_high"),
        (lambda at: {"reason": "  "}, "reason_missing"),
        (late, "bad_window"),
        (far_off, "bad_window"),
        (at_the_end_of_days, "bad_window"),
        (over, "bad_window"),
        (too_long, "window_too_long"),
    ],
)
def test_what_may_not_be_lent(
    max_: User, bob: User, changes: Callable[[datetime], dict[str, Any]], expected: str
) -> None:
    with pytest.raises(PolicyError) as refusal:
        ask(max_, bob, **changes(db_clock.now()))

    assert refusal.value.code == expected
    assert not AuthorityChange.objects.exists()


def test_whom_nothing_is_lent_to(max_: User) -> None:
    nobodies = {
        make_user("max.two", "finance", person="max"): "same_person",
        make_user("gone", "finance", is_active=False): "unknown_user",
        make_user("ada", "ops admin"): "never_decides",
        make_user("alan", "auditor", "finance"): "never_decides",
    }

    for nobody, expected in nobodies.items():
        with pytest.raises(PolicyError) as refusal:
            ask(max_, nobody)
        assert refusal.value.code == expected


def test_what_was_lent_is_not_lent_on(max_: User, bob: User) -> None:
    carl = make_user("carl", "finance")
    make_delegation(max_, bob)
    with pytest.raises(PolicyError) as refusal:
        ask(bob, carl, group="manager")
    assert refusal.value.code == "not_in_group"

    make_delegation(bob, carl)

    assert code(may_decide(carl, now_case(), MANAGERS)) != "ok"


def test_authority_is_not_lent_in_a_circle(max_: User) -> None:
    mona = make_user("mona", "manager")
    make_delegation(max_, mona)
    at = db_clock.now()

    with pytest.raises(PolicyError) as refusal:
        ask(mona, max_)
    assert refusal.value.code == "lent_back"

    assert ask(mona, max_, starts_at=at + 8 * DAY, ends_at=at + 9 * DAY).pk  # afterwards it may


def test_it_is_judged_again_when_somebody_agrees(max_: User, bob: User) -> None:
    ada = Actor.human(make_user("ada", "ops admin"))
    change = ask(max_, bob, group="manager")
    max_.groups.clear()

    with pytest.raises(PolicyError) as refusal:
        agree(change.pk, actor=ada, reason="seen")

    assert refusal.value.code == "not_in_group"
    assert not Delegation.objects.exists()


@pytest.mark.parametrize("by", ["max", "bob", "ada"])
def test_lender_delegate_and_ops_admin_take_it_back_at_once(max_: User, bob: User, by: str) -> None:
    delegation = make_delegation(max_, bob)

    actor = Actor.human(User.objects.get(username=by))
    delegations.revoke(delegation.pk, actor=actor, reason="back")
    delegations.revoke(delegation.pk, actor=actor, reason="twice is harmless")

    case = now_case()
    assert code(may_decide(bob, case, MANAGERS)) == "not_in_group"
    held = still_may_decide(bob, case, MANAGERS, delegation_id=delegation.pk)
    assert code(held) == "not_lent"
    assert codes(delegation) == ["delegation.given", "delegation.revoked"]


def test_nobody_else_takes_it_back(max_: User, bob: User) -> None:
    delegation = make_delegation(max_, bob)
    for villain in (make_user("mona", "manager"), make_user("root", is_superuser=True)):
        with pytest.raises(PolicyError) as refusal:
            delegations.revoke(delegation.pk, actor=Actor.human(villain), reason="mine")
        assert refusal.value.code == "not_yours_to_lend"
    with pytest.raises(PolicyError) as refusal:
        delegations.revoke(delegation.pk, actor=Actor.human(max_), reason=" ")
    assert refusal.value.code == "reason_missing"

    assert code(may_decide(bob, now_case(), MANAGERS)) == "ok"
