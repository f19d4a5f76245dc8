"""One search on every page, by the number in the hand; it finds what its reader may see."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.admin.make import House, browser, page, text_of
from tests.approvals.make import crm, make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def found_by(user: object, term: str) -> str:
    return text_of(browser(user).get(reverse("admin:search"), {"q": term}, follow=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "term",
    ["1037", "ch_1037", "charge ch_1037", "customer of ch_1037", "150", "150.00 EUR", "refund-bot"],
)
def test_a_request_is_found_by_any_number_in_the_hand(house: House, term: str) -> None:
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    make_request(house.agent, refund("ch_1004", "310.00"))

    assert f"charge {request.target.split()[1]}" in found_by(house.fred, term)


def test_what_is_found_alone_is_opened_at_once(house: House) -> None:
    request = make_request(house.agent, refund("ch_1037", "150.00"))

    answer = browser(house.fred).get(reverse("admin:search"), {"q": "1037"}, follow=True)

    assert answer.redirect_chain[-1][0] == page(request)


def test_what_others_are_asked_is_not_found(house: House) -> None:
    make_request(house.agent, refund("ch_1037", "150.00"))
    make_request(house.agent, crm("acct_2001", notes="x"), action_type="crm.update")

    for villain in (house.sam, make_person("nobody")):
        for term in ("1037", "150", "acct_2001", "refund-bot", "%", "_"):
            assert "Nothing of what you may see matches." in found_by(villain, term)


def test_it_takes_no_post_and_says_nothing_before_a_term(house: House) -> None:
    client = browser(house.fred)

    assert client.post(reverse("admin:search"), {"q": "1037"}).status_code == 405
    assert "Nothing of what you may see" not in text_of(client.get(reverse("admin:search")))
