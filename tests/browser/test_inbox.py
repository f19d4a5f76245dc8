"""A day at the inbox by keyboard: find, open, decide, and take it back within ten seconds."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from approvals.models import ActionRequest
from tests.admin.make import inbox, make_people, page
from tests.approvals.make import SHIPPED_POLICY, make_request, refund
from tests.browser.people import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]


def test_by_keyboard_alone_an_approval_is_given_followed_and_taken_back(
    live_server: Any, screen: Page
) -> None:
    house = make_people(SHIPPED_POLICY)
    request = make_request(house.agent, refund("ch_1037", "150.00"))

    sign_in(screen, live_server.url, "fred")
    screen.keyboard.press("g")
    screen.keyboard.press("i")
    screen.wait_for_url(live_server.url + inbox())
    screen.keyboard.press("j")
    screen.keyboard.press("Enter")
    screen.wait_for_url(live_server.url + page(request))
    for fact in screen.locator("input[name=confirmed]").all():
        fact.focus()
        screen.keyboard.press("Space")
    screen.keyboard.press("a")  # from the last tick: opens the form to approve
    expect(screen.locator("#approve-reason_code")).to_be_focused()
    assert ActionRequest.objects.get(pk=request.pk).state == "pending_approval"
    screen.keyboard.press("1")
    fact.focus()
    screen.keyboard.press("Control+Enter")

    note = screen.locator("[data-toast]")
    expect(note).to_contain_text("Approved, carried out unless recalled in 10 s")
    expect(note.locator("[data-live-sentence]")).to_contain_text("carried out in a few seconds")
    note.get_by_role("button", name="Recall").click()
    expect(screen.locator("[data-toast]")).to_contain_text("Recalled: nothing happens")
    again = ActionRequest.objects.get(pk=request.pk)
    assert (again.state, again.version) == ("pending_approval", 2)


def test_a_key_of_the_list_opens_the_case_with_that_form(live_server: Any, screen: Page) -> None:
    house = make_people()
    request = make_request(house.agent, refund("ch_1037", "150.00"))

    sign_in(screen, live_server.url, "fred")
    screen.goto(live_server.url + inbox())
    screen.keyboard.press("j")
    screen.keyboard.press("a")

    expect(screen.locator("[data-answer=approve]")).to_have_attribute("open", "")
    expect(screen.locator("input[name=confirmed]").first).to_be_focused()
    assert ActionRequest.objects.get(pk=request.pk).state == "pending_approval"


def test_the_number_in_the_hand_leads_to_the_case(live_server: Any, screen: Page) -> None:
    house = make_people()
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    sign_in(screen, live_server.url, "fred")

    # the order's number, the charge, its customer, the amount, the agent
    for number in ("1037", "ch_1037", "customer of ch_1037", "150.00 EUR", "refund-bot"):
        screen.goto(live_server.url + reverse("admin:index"))
        screen.keyboard.press("/")
        screen.keyboard.type(number)
        screen.keyboard.press("Enter")
        screen.wait_for_url(live_server.url + page(request))


def test_the_skip_link_comes_first(live_server: Any, screen: Page) -> None:
    make_people()
    sign_in(screen, live_server.url, "fred")

    screen.keyboard.press("Tab")

    expect(screen.get_by_role("link", name="Skip to the content")).to_be_focused()
