"""A mail is edited at the keyboard, once it is said what comes of it; its reader sees the edit."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from approvals.selectors.requests import action_of
from tests.admin.make import make_people, page, state_of
from tests.approvals.make import fresh, make_person, make_request
from tests.browser.people import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]

MAIL = {
    "to": "customer1006@mail.example",
    "subject": "Your order",
    "body": "We will refund everything.",
}


def test_a_mail_is_edited_by_keyboard_and_its_second_reader_sees_the_edit(
    live_server: Any, screen: Page
) -> None:
    house = make_people()
    make_person("susi", "support", first_name="Susi", last_name="Support")
    make_person("second", "support")
    request = make_request(house.agent, MAIL, action_type="email.send")
    sign_in(screen, live_server.url, "susi")
    screen.goto(live_server.url + page(request, "support"))

    screen.keyboard.press("e")
    screen.locator("#edit-param-body").fill("We will gladly look.")
    screen.locator("#edit-reason_code").select_option("policy")
    screen.locator("#edit-comment").fill("We promise nothing.")
    screen.keyboard.press("Control+Enter")

    foreseen = screen.locator("[data-foreseen]")
    expect(foreseen).to_be_focused()
    expect(foreseen).to_contain_text("Who must say yes; you no longer count")
    expect(foreseen.locator("ins")).to_have_text("gladly look.")
    assert fresh(request).version == 1
    send = screen.get_by_role("button", name="Send the edited version")
    screen.locator("#edit-param-body").fill("We will look into it.")
    expect(foreseen).to_be_hidden()
    expect(send).to_have_count(0)
    screen.keyboard.press("Control+Enter")
    expect(foreseen.locator("ins")).to_have_text("look into it.")
    screen.keyboard.press("Control+Enter")
    expect(screen.get_by_text("Edited; somebody else decides the new version")).to_be_visible()

    sign_in(screen, live_server.url, "second")
    screen.goto(live_server.url + page(request, "support"))
    change = screen.get_by_role("region", name="What Susi Support changed")
    expect(change).to_contain_text("We promise nothing.")
    expect(change.locator("del")).to_have_text("refund everything.")
    expect(change.locator("ins")).to_have_text("look into it.")
    assert (state_of(request), fresh(request).version) == ("pending_approval", 2)
    assert action_of(fresh(request)).params == {**MAIL, "body": "We will look into it."}
