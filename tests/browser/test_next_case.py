"""The next case is fetched before it is opened, and is looked at again when that was too early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.core.signals import request_started
from playwright.sync_api import Browser, Page, expect

from approvals.services.decide import reject
from tests.admin.make import make_people, page
from tests.approvals.make import look_at, make_request, refund
from tests.browser.people import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]


@pytest.fixture
def screen(chrome: Browser) -> Iterator[Page]:
    cache.clear()
    context = chrome.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


class AheadOfTime:
    """The pages the browser asked for before they were opened."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.asked = threading.Event()

    def __call__(self, environ: dict[str, Any], **_: Any) -> None:
        if environ.get("HTTP_SEC_PURPOSE", "").startswith("prefetch"):
            self.paths.append(environ["PATH_INFO"])
            self.asked.set()


@pytest.fixture
def ahead() -> Iterator[AheadOfTime]:
    listener = AheadOfTime()
    request_started.connect(listener)
    yield listener
    request_started.disconnect(listener)


def test_the_next_case_is_there_already_and_never_out_of_date(
    live_server: Any, screen: Page, ahead: AheadOfTime
) -> None:
    house = make_people()
    first = make_request(house.agent, refund("ch_1033", "300.00"))
    second = make_request(house.agent, refund("ch_1034", "310.00"))
    sign_in(screen, live_server.url, "fred")
    screen.goto(live_server.url + page(first))
    expect(screen.locator("[data-place]")).to_have_text("Case 1 of 2 you can decide")

    assert ahead.asked.wait(10)
    screen.wait_for_timeout(1000)
    assert ahead.paths == [page(second)]
    reviewed = look_at(second, house.fay)
    reject(second.pk, decider=house.fay, reviewed=reviewed, reason_code="not_justified")
    screen.keyboard.press("j")
    screen.wait_for_url(live_server.url + page(second))

    expect(screen.get_by_role("heading", name="Rejected")).to_be_visible()
