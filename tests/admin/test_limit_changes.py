"""Whoever agrees to a limit sees what it changes: the limit that counts, and recent cases."""

from __future__ import annotations

import pytest
from django.urls import reverse

from audit.actors import Actor
from policies.models import AuthorityChange, User
from policies.services.limits import set_limit
from tests.admin.make import House, browser, text_of
from tests.approvals.make import INSTALLER, make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def raise_to(user: User, by: User, each_minor: int, action_type: str = "*") -> AuthorityChange:
    change = set_limit(
        actor=Actor.human(by), user_id=user.pk, action_type=action_type, currency="EUR",
        each_minor=each_minor, reason="more to do",
    )  # fmt: skip
    assert isinstance(change, AuthorityChange)
    return change


def shown(change: AuthorityChange, viewer: User) -> str:
    address = reverse("admin:policies_authoritychange_change", args=[change.pk])
    return text_of(browser(viewer).get(address))


def test_the_second_person_reads_the_limit_now_then_and_the_cases_between(house: House) -> None:
    petra, paul = make_person("petra", "ops admin"), make_person("paul", "ops admin")
    for charge, amount in (("ch_1037", "100.00"), ("ch_1037", "60.00"), ("ch_1038", "120.00")):
        make_request(house.agent, refund(charge, amount))
    small = make_person("small", "finance")
    set_limit(
        actor=INSTALLER, user_id=small.pk, action_type="*", currency="EUR", each_minor=8000,
        reason="new",
    )  # fmt: skip

    change = raise_to(small, petra, 11000, "refund.issue")
    text = shown(change, paul)

    assert "their own for every action counts now: 80.00 EUR each, no daily sum" in change.summary
    assert "Their own for every action counts now: 80.00 EUR each, no daily sum." in text
    assert "110.00 EUR each, no daily sum" in text
    assert "1 request would have come within this limit and did not." in text


def test_a_limit_of_the_role_counts_until_there_is_an_own_one(house: House) -> None:
    petra, paul = make_person("petra", "ops admin"), make_person("paul", "ops admin")
    set_limit(
        actor=INSTALLER, role="finance", action_type="*", currency="EUR", each_minor=30000,
        reason="all of them",
    )  # fmt: skip
    new = make_person("newcomer", "finance")

    text = shown(raise_to(new, petra, 40000), paul)

    assert "That of everybody in finance for every action counts now: 300.00 EUR each" in text
    assert "It would have changed no request." in text


def test_where_no_limit_counts_it_says_so(house: House) -> None:
    petra, paul = make_person("petra", "ops admin"), make_person("paul", "ops admin")
    make_request(house.agent, refund("ch_1037", "100.00"))

    text = shown(raise_to(make_person("newcomer", "finance"), petra, 40000), paul)

    assert "No limit allows any of it now." in text
    assert "1 request would have come within this limit and did not." in text
