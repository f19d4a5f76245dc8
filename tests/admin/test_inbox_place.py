"""A review page says which of how many it is, and a browser may fetch the next one beforehand."""

from __future__ import annotations

from itertools import count

import pytest
from django.core.cache import cache
from django.test import Client

from approvals.models import ActionRequest, IntegrityIncident
from approvals.selectors import inbox_place
from policies.models import User
from tests.admin.make import House, browser, inbox, make_people, page, text_of
from tests.admin.review import send
from tests.admin.world import difference, every_row
from tests.approvals.make import make_limit, make_person, make_request, refund
from tests.database import triggers_off

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

AHEAD = {"Sec-Purpose": "prefetch"}


@pytest.fixture
def house() -> House:
    cache.clear()
    return make_people()


def make_three(house: House) -> list[ActionRequest]:
    """Two that finn can decide, and between them one above his limit."""
    make_limit(make_person("finn", "finance"), "305.00")
    charges = count(1003)
    amounts = ("300.00", "310.00", "301.00")
    return [make_request(house.agent, refund(f"ch_{next(charges)}", one)) for one in amounts]


def finn() -> User:
    return User.objects.get(username="finn")


def test_the_page_says_which_of_those_one_can_decide_it_is(house: House) -> None:
    first, above, last = make_three(house)
    client = browser(finn())

    texts = [text_of(client.get(page(one))) for one in (first, above, last)]

    assert "Case 1 of 2 you can decide" in texts[0]
    assert "you can decide</span>" not in texts[1]
    assert "Case 2 of 2 you can decide" in texts[2]
    assert f'data-next="{page(last)}"' in texts[0]
    assert f'data-next="{page(last)}"' in texts[1]
    assert f'data-next="{page(first)}"' in texts[2]


def test_after_a_decision_comes_what_one_can_decide_and_then_the_rest(house: House) -> None:
    first, above, last = make_three(house)
    client = browser(finn())
    no = {"reason_code": "not_justified"}

    after_first = send(client, first, "reject", **no)
    assert "Case 1 of 1 you can decide" in text_of(client.get(page(last)))
    after_last = send(client, last, "reject", **no)

    assert after_first["Location"] == f"{page(last)}?after={first.pk}"
    assert after_last["Location"] == f"{page(above)}?after={last.pk}"
    assert send(client, above, "reject", **no)["Location"] == inbox()


def test_whoever_decides_nothing_is_counted_nothing_and_walks_all(house: House) -> None:
    first, above, _ = make_three(house)
    anybody = make_person("flo", "finance")

    text = text_of(browser(anybody).get(page(first)))

    assert "you can decide</span>" not in text
    assert f'data-next="{page(above)}"' in text


def test_of_very_many_the_first_are_counted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_place, "_LOOKED_AT", 2)
    first, above, last = make_three(house)
    client = browser(finn())

    assert "Case 1 of 1 or more you can decide" in text_of(client.get(page(first)))
    behind = text_of(client.get(page(last)))

    assert "you can decide</span>" not in behind
    assert f'data-next="{page(first)}"' in behind
    assert f'data-next="{page(last)}"' in text_of(client.get(page(above)))


def test_fetching_a_page_ahead_of_time_writes_nothing(house: House) -> None:
    first, *_ = make_three(house)
    client = browser(finn())
    client.get(page(first))
    before = every_row()

    answer = client.get(page(first), headers=AHEAD)

    assert answer.status_code == 200
    assert difference(before, every_row()) == []


def test_what_is_broken_is_reported_when_somebody_opens_it_and_not_before(house: House) -> None:
    first, *_ = make_three(house)
    with triggers_off():
        first.contents.update(action='{"action_type":"refund.issue","params":{}}')
    client = browser(finn())

    assert client.get(page(first), headers=AHEAD).status_code == 503
    assert not IntegrityIncident.objects.exists()
    assert client.get(page(first)).status_code == 409
    assert IntegrityIncident.objects.exists()


def test_what_is_told_once_waits_for_whoever_opens_the_page(house: House) -> None:
    first, _, last = make_three(house)
    client: Client = browser(finn())
    send(client, first, "reject", reason_code="not_justified")

    ahead = client.get(page(last), headers=AHEAD)
    opened = text_of(client.get(page(last)))

    assert ahead.status_code == 503
    assert "Rejected, nothing happens" in opened
