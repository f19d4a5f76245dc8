"""The landing page counts what matters to whoever is signed in, and nobody else's inbox."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin.make import House, browser, inbox, make_people, text_of
from tests.approvals.make import make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def house() -> House:
    cache.clear()
    return make_people()


def test_a_reviewer_sees_their_inbox_and_not_another(house: House) -> None:
    make_request(house.agent, refund("ch_1003", "300.00"))

    text = text_of(browser(house.fred).get(reverse("admin:index")))

    assert inbox("finance") in text
    assert f"{inbox('finance')}?show=incidents" in text
    assert inbox("security") not in text
    assert "How the house stands" not in text


@pytest.mark.parametrize("role", ["auditor", "ops admin"])
def test_who_watches_the_house_sees_how_it_stands(house: House, role: str) -> None:
    make_request(house.agent, refund("ch_1003", "300.00"))
    watcher = make_person("wanda", role)

    text = text_of(browser(watcher).get(reverse("admin:index")))

    assert "How the house stands" in text
    assert "T3" in text


def test_somebody_without_a_role_is_told_so(house: House) -> None:
    text = text_of(browser(make_person("nobody")).get(reverse("admin:index")))

    assert "You have no role yet." in text


def test_the_page_takes_the_same_queries_however_much_waits(house: House) -> None:
    client = browser(house.fred)
    make_request(house.agent, refund("ch_1003", "300.00"))
    client.get(reverse("admin:index"))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse("admin:index"))
    for number in range(1004, 1010):
        make_request(house.agent, refund(f"ch_{number}", "300.00"))

    with CaptureQueriesContext(connection) as many:
        client.get(reverse("admin:index"))

    assert len(many) == len(few) <= 24
