"""The browser counts what was visible: not an hour in another tab, nor what is off the screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, Page, expect

from approvals.models import Decision
from tests.admin.make import inbox, make_people, page
from tests.approvals.make import make_request, refund
from tests.browser.people import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]

ANOTHER_TAB = """
  (isHidden) => {
    Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }
"""


@pytest.fixture
def screen(chrome: Browser) -> Iterator[Page]:
    context = chrome.new_context(viewport={"width": 1280, "height": 600})
    yield context.new_page()
    context.close()


def test_only_what_was_visible_counts(live_server: Any, screen: Page) -> None:
    house = make_people()
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    screen.clock.install()
    sign_in(screen, live_server.url, "fred")
    screen.goto(live_server.url + page(request))

    screen.clock.run_for(30_000)
    screen.evaluate(ANOTHER_TAB, True)
    screen.clock.run_for(3_600_000)  # an hour in another tab
    screen.evaluate(ANOTHER_TAB, False)
    screen.keyboard.press("o")  # to the evidence
    customer = request.evidence.get(title__startswith="Customer")
    heading = screen.locator(f"[data-source='{customer.sha256}'] header")
    heading.scroll_into_view_if_needed()
    expect(heading).to_be_in_viewport(ratio=1)
    screen.wait_for_timeout(300)
    screen.clock.run_for(12_000)
    screen.keyboard.press("r")
    screen.locator("#reject-reason_code").select_option("not_justified")
    with screen.expect_request(lambda sent: sent.method == "POST") as sent:
        screen.keyboard.press("Control+Enter")
    screen.wait_for_url(live_server.url + inbox())

    form = parse_qs(sent.value.post_data or "")
    assert 42 <= int(form["visible_seconds"][0]) < 60
    assert customer.sha256 in form["evidence_opened"][0]
    decision = Decision.objects.get()
    assert customer.sha256 in decision.evidence_opened
    assert decision.visible_seconds is not None
    assert decision.visible_seconds < 42  # the hour and the minute were never: so says the server
