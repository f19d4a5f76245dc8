"""Emergencies by keyboard: payments are stopped; what a person watches is stopped on its way."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from approvals.models import Pause
from tests.admin.make import make_people, page, state_of
from tests.approvals.executing import claimed
from tests.approvals.make import PASSWORD, ROBOT, approve, make_person, make_request, supply
from tests.browser.people import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]


def test_payments_are_stopped_with_one_click_and_a_reason(live_server: Any, screen: Page) -> None:
    make_people()
    sign_in(screen, live_server.url, "mona")

    screen.get_by_role("link", name="Stop payments now").click()
    expect(screen.get_by_text("Approved, not begun")).to_be_visible()
    expect(screen.get_by_label("Why")).to_be_focused()
    assert not Pause.objects.exists()
    screen.keyboard.type("Refunds to one address")
    screen.keyboard.press("Tab")
    screen.keyboard.press("Enter")

    expect(screen.get_by_text("Payments are stopped.")).to_be_visible()
    assert str(Pause.objects.get()) == "connector payments"


def test_a_supervised_run_is_watched_and_stopped(live_server: Any, screen: Page) -> None:
    house = make_people()
    oli = make_person("oli", "operations")
    request = make_request(house.agent, ROBOT, action_type="robot.run")
    supply(request, make_person("hazel", "operations"))
    approve(request, oli, house.mona)
    make_person("odo", "operations")
    sign_in(screen, live_server.url, "odo")
    screen.goto(live_server.url + page(request, "operations"))
    live = screen.locator("[data-live-sentence]").last

    screen.get_by_text("Start it", exact=True).click()
    screen.get_by_label("Confirm with your password").fill(PASSWORD)
    screen.get_by_role("button", name="Start now").click()
    expect(screen.get_by_text("Started. Stay with it until it is verified.")).to_be_visible()
    claimed(request)  # what the worker does when the message arrives
    expect(live).to_have_text("Being carried out.")
    screen.get_by_text("Stop it", exact=True).click()
    screen.get_by_label("Why does it have to stop?").fill("Somebody is in zone B.")
    screen.keyboard.press("Control+Enter")

    expect(screen.get_by_text("Stopped: nothing more is sent.")).to_be_visible()
    expect(live).to_contain_text("Nobody knows yet whether it happened")
    expect(screen.get_by_role("button", name="Stop it now")).to_have_count(0)
    assert state_of(request) == "outcome_unknown"
