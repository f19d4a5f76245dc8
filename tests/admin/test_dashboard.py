"""The landing page counts what matters to whoever is signed in, and nobody else's inbox."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from approvals.services.agents import pause_agent
from audit.actors import Actor
from policies.models import PolicyVersion
from policies.models.versions import VersionStatus
from policies.services.limits import set_limit
from policies.services.rates import STALE_AFTER, set_rate
from tests.admin.make import House, browser, inbox, make_people, text_of
from tests.approvals.make import make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def house() -> House:
    cache.clear()
    return make_people()


def test_a_reviewer_sees_their_inbox_and_not_another(house: House) -> None:
    make_request(house.agent, refund("ch_1034", "300.00"))

    text = text_of(browser(house.fred).get(reverse("admin:index")))

    assert inbox("finance") in text
    assert f"{inbox('finance')}?show=incidents" in text
    assert inbox("security") not in text
    assert "How the house stands" not in text


@pytest.mark.parametrize("role", ["auditor", "ops admin"])
def test_who_watches_the_house_sees_how_it_stands(house: House, role: str) -> None:
    make_request(house.agent, refund("ch_1034", "300.00"))
    watcher = make_person("wanda", role)

    text = text_of(browser(watcher).get(reverse("admin:index")))

    assert "How the house stands" in text
    assert "T3" in text


def test_what_waits_is_told_to_those_it_concerns_and_nobody_else(house: House) -> None:
    petra, paul = make_person("petra", "ops admin"), make_person("paul", "ops admin")
    rita = make_person("rita", "risk owner")
    set_limit(
        actor=Actor.human(petra), user_id=house.fred.pk, action_type="*", currency="EUR",
        each_minor=90_000, reason="more work",
    )  # fmt: skip
    pause_agent(house.agent.pk, actor=Actor.human(petra), reason="odd")
    old = timezone.now().date() - STALE_AFTER - timedelta(days=1)
    set_rate("USD", old, Decimal("0.9"), actor=Actor.human(petra))
    set_rate("GBP", timezone.now().date(), Decimal("1.1"), actor=Actor.human(petra))

    proposer, second, owner, reviewer = (
        text_of(browser(person).get(reverse("admin:index")))
        for person in (petra, paul, rita, house.fred)
    )

    assert "1 change of authority waits for another ops admin" in proposer
    assert "1 change of authority waits for your answer." in second
    assert f"Paused until somebody lets it go on: agent {house.agent.name}." in second
    assert "Exchange rates too old to use: USD." in second
    for page in (owner, reviewer):
        assert "Needs attention" not in page


def test_a_proposed_version_waits_for_whoever_did_not_write_it(house: House) -> None:
    author, colleague = make_person("rita", "risk owner"), make_person("rolf", "risk owner")
    version = PolicyVersion.objects.create(
        label="2030-01-01.1", document="rules: []", digest="0" * 64, reason="a test",
        status=VersionStatus.PROPOSED, author=author, created_at=timezone.now(),
    )  # fmt: skip

    written, waiting, reading = (
        text_of(browser(person).get(reverse("admin:index")))
        for person in (author, colleague, make_person("ida", "auditor"))
    )

    assert "Policy 2030-01-01.1 waits for a colleague to publish it" in written
    assert "Policy 2030-01-01.1 waits for you to look at it and publish it" in waiting
    assert reverse("admin:policies_policyversion_change", args=[version.pk]) in waiting
    assert "Needs attention" not in reading


def test_the_chart_has_the_companys_hours(house: House) -> None:
    with timezone.override("Asia/Kolkata"):  # half an hour beside everybody else's
        text = text_of(browser(house.fred).get(reverse("admin:index")))

    marks = re.findall(r">(\d\d:\d\d)</text>", text)
    assert len(marks) == 4
    assert all(mark.endswith(":30") for mark in marks)


def test_somebody_without_a_role_is_told_so(house: House) -> None:
    text = text_of(browser(make_person("nobody")).get(reverse("admin:index")))

    assert "You have no role yet." in text


def test_the_page_takes_the_same_queries_however_much_waits(house: House) -> None:
    client = browser(house.fred)
    make_request(house.agent, refund("ch_1034", "300.00"))
    client.get(reverse("admin:index"))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse("admin:index"))
    for number in range(1004, 1010):
        make_request(house.agent, refund(f"ch_{number}", "300.00"))

    with CaptureQueriesContext(connection) as many:
        client.get(reverse("admin:index"))

    asking_the_time = [query for query in many if "clock_timestamp" in query["sql"]]
    assert len(many) == len(few)
    assert len(many) - len(asking_the_time) <= 25  # PostgreSQL is asked what time it is
