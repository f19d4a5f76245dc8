"""What delegated authority is good for: never more than its delegator could do at that moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from audit.actors import Actor
from audit.lib import db_clock
from audit.lib.money import Money
from policies.authority import (
    Authority,
    Refusal,
    deciders_for,
    groups_delegated_to,
    may_decide,
    still_may_decide,
)
from policies.models import Delegation, User
from policies.services import delegations
from tests.policies.delegating import DAY, MANAGERS, code, make_delegation, make_limit, now_case
from tests.policies.make import make_case, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def max_() -> User:
    user = make_user("max", "manager")
    make_limit(user, 20_000)
    return user


@pytest.fixture
def bob() -> User:
    return make_user("bob", "finance")


def test_the_lesser_of_cap_and_limit_counts_now_and_later(max_: User, bob: User) -> None:
    make_delegation(max_, bob, cap=Money(15_000, "EUR"))

    assert code(may_decide(bob, now_case(15_000), MANAGERS)) == "ok"
    assert code(may_decide(bob, now_case(15_001), MANAGERS)) == "over_cap"

    make_limit(max_, 9_000)

    assert code(may_decide(bob, now_case(9_001), MANAGERS)) == "lender_over_limit"
    answer = may_decide(bob, now_case(9_000), MANAGERS)
    assert isinstance(answer, Authority)
    assert answer.limit_minor == 9_000


def test_a_cap_covers_its_own_currency_and_calls_nothing_else_too_large(
    max_: User, bob: User
) -> None:
    make_delegation(max_, bob, cap=Money(15_000, "EUR"))
    dollars = replace(now_case(), amount=Money(2_490, "USD"))

    answer = may_decide(bob, dollars, MANAGERS)

    assert isinstance(answer, Refusal)
    assert answer.message == (
        "What was delegated to you is for EUR (up to 150.00 EUR); this is in USD."
    )


def test_the_lenders_day_counts(max_: User, bob: User) -> None:
    make_limit(max_, 20_000, day=25_000)
    make_delegation(max_, bob)
    spent = {"max": 16_000}

    def of(user: User) -> int:
        return spent.get(user.username, 0)

    assert code(may_decide(bob, now_case(9_000, spent_today=of), MANAGERS)) == "ok"
    assert code(may_decide(bob, now_case(9_001, spent_today=of), MANAGERS)) == (
        "lender_over_daily_limit"
    )


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"involved": {"max": "editor"}}, "lender_four_eyes"),
        ({"involved": {"bob": "editor"}}, "four_eyes"),
        ({"decided": frozenset({"max"})}, "lender_decided"),
        ({"decided": frozenset({"bob"})}, "already_decided"),
        ({}, "ok"),
    ],
)
def test_both_must_be_free_of_the_case(
    max_: User, bob: User, case: dict[str, Any], expected: str
) -> None:
    make_delegation(max_, bob)

    assert code(may_decide(bob, now_case(**case), MANAGERS)) == expected


def test_the_lender_must_still_be_there(max_: User, bob: User) -> None:
    make_delegation(max_, bob)
    User.objects.filter(pk=max_.pk).update(is_active=False)
    assert code(may_decide(bob, now_case(), MANAGERS)) == "lender_may_not"

    User.objects.filter(pk=max_.pk).update(is_active=True)
    assert code(may_decide(bob, now_case(), MANAGERS)) == "ok"

    max_.groups.clear()
    assert code(may_decide(bob, now_case(), MANAGERS)) == "lender_may_not"


def test_scope_and_window_are_kept(max_: User, bob: User) -> None:
    at = db_clock.now()
    make_delegation(max_, bob, action_type="vendor.*", starts_at=at + DAY, ends_at=at + 2 * DAY)
    delegated = Delegation.objects.get()

    def answer(kind: str, when: datetime) -> str:
        case = make_case(None, at=when)
        return code(may_decide(bob, type(case)(
            action_type=kind, amount=None, tier=3, at=when), MANAGERS))  # fmt: skip

    assert answer("vendor.pay", at) == "not_in_group"
    assert answer("vendor.pay", delegated.starts_at) == "ok"
    assert answer("refund.issue", delegated.starts_at) == "not_in_group"
    assert answer("vendor.pay", delegated.ends_at - timedelta(seconds=1)) == "ok"
    assert answer("vendor.pay", delegated.ends_at) == "not_in_group"
    assert groups_delegated_to(bob, at=at) == frozenset()
    assert groups_delegated_to(bob, at=delegated.starts_at) == {"manager", "@max"}


def test_delegates_are_among_the_deciders(max_: User, bob: User) -> None:
    make_delegation(max_, bob)
    make_user("nina", "finance")

    assert [u.username for u in deciders_for(now_case(), MANAGERS)] == ["bob", "max"]
    assert [u.username for u in deciders_for(make_case(), MANAGERS)] == ["max"]  # no time: none


def test_what_was_said_on_somebodys_behalf_stands_on_that_alone(max_: User) -> None:
    mona = make_user("mona", "manager")
    make_limit(mona, 20_000)
    delegation = make_delegation(max_, mona)
    case = now_case()

    assert code(still_may_decide(mona, case, MANAGERS, delegation_id=delegation.pk)) == "ok"
    delegations.revoke(delegation.pk, actor=Actor.human(max_), reason="back")

    assert code(still_may_decide(mona, case, MANAGERS, delegation_id=delegation.pk)) == "not_lent"
    assert code(still_may_decide(mona, case, MANAGERS, delegation_id=None)) == "ok"
