"""By keyboard: an inbox is narrowed, the view gets a name, and the name leads there again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from tests.admin.make import inbox, make_people
from tests.approvals.make import PASSWORD, make_request, refund

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]


@pytest.fixture
def screen(chrome: Browser) -> Iterator[Page]:
    """A page without script errors."""
    cache.clear()
    complaints: list[str] = []
    context = chrome.new_context(viewport={"width": 1280, "height": 900})
    shown = context.new_page()
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    yield shown
    context.close()
    assert complaints == []


def test_a_view_is_saved_and_opened_again(live_server: Any, screen: Page) -> None:
    house = make_people()
    make_request(house.agent, refund("ch_1034", "300.00"))
    screen.goto(live_server.url + reverse("admin:login"))
    screen.fill("[name=username]", "fred")
    screen.fill("[name=password]", PASSWORD)
    screen.click("button[type=submit]")
    screen.wait_for_url(live_server.url + reverse("admin:index"))
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
