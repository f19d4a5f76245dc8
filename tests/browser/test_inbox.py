"""A day at the inbox by keyboard: find, open, decide, and take it back within ten seconds."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from approvals.models import ActionRequest
from tests.admin.make import inbox, make_people, page
from tests.approvals.make import SHIPPED_POLICY, make_limit, make_person, make_request, refund
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


def test_on_a_wide_screen_the_inbox_stands_beside_the_case(live_server: Any, screen: Page) -> None:
    house = make_people()
    make_limit(make_person("finn", "finance"), "305.00")
    first = make_request(house.agent, refund("ch_1030", "300.00"))
    above = make_request(house.agent, refund("ch_1032", "310.00"))
    last = make_request(house.agent, refund("ch_1034", "301.00"))
    sign_in(screen, live_server.url, "finn")

    screen.goto(live_server.url + page(first))
    beside = screen.get_by_role("navigation", name="Finance inbox, around this case")
    expect(beside).to_have_count(0)  # no room
    screen.set_viewport_size({"width": 1920, "height": 1080})
    rows = beside.get_by_role("link")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_have_attribute("aria-current", "page")
    expect(rows.nth(1)).to_contain_text("for others to decide")
    rows.nth(2).click()

    screen.wait_for_url(live_server.url + page(last))
    expect(rows.nth(2)).to_have_attribute("aria-current", "page")
    expect(rows.nth(1)).to_have_attribute("href", page(above))
