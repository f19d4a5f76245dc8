"""By keyboard: an inbox is narrowed, the view gets a name, and the name leads there again."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.admin.make import inbox, make_people
from tests.approvals.make import make_request, refund
from tests.browser.people import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]


def test_a_view_is_saved_and_opened_again(live_server: Any, screen: Page) -> None:
    house = make_people()
    make_request(house.agent, refund("ch_1034", "300.00"))
    sign_in(screen, live_server.url, "fred")
    screen.goto(live_server.url + inbox())
    expect(screen.get_by_text("Save this view")).to_have_count(0)

    screen.locator("select[name=tier]").select_option("3")
    screen.get_by_text("Save this view").focus()
    screen.keyboard.press("Enter")
    screen.get_by_label("Name", exact=True).fill("Money")
    screen.keyboard.press("Control+Enter")

    view = screen.get_by_role("navigation", name="Your views").get_by_role("link", name="Money")
    expect(view).to_have_attribute("aria-current", "page")
    screen.goto(live_server.url + inbox())
    view.click()
    screen.wait_for_url(live_server.url + inbox() + "?tier=3")
    expect(screen.locator("select[name=tier]")).to_have_value("3")
    screen.get_by_role("button", name="Forget").click()
    expect(view).to_have_count(0)
