"""A reviewer asks, the agent answers, the same reviewer reads the answer and approves."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from approvals.models import ThreadEntry
from approvals.services.agent_replies import answer
from tests.admin.make import make_people, page, state_of
from tests.approvals.make import make_person, make_request, refund
from tests.browser.people import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]

FACT = "The customer complained in the last 90 days."


def test_ask_answer_and_approve(live_server: Any, screen: Page) -> None:
    house = make_people()
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    sign_in(screen, live_server.url, "fred")
    screen.goto(live_server.url + page(request))

    screen.keyboard.press("q")
    screen.keyboard.type("Which lamp is broken?")
    screen.keyboard.press("Control+Enter")
    expect(screen.get_by_text("Your clock stands still until it answers.")).to_be_visible()
    assert state_of(request) == "changes_requested"
    screen.goto(live_server.url + page(request))
    expect(screen.get_by_text("Waiting for refund-bot to answer.")).to_be_visible()

    answer(request.pk, agent=house.agent, body="The tall one, by the photo.")
    screen.reload()
    said = screen.get_by_role("region", name="Conversation").get_by_role("listitem")
    expect(said).to_have_count(2)
    expect(said.nth(0)).to_contain_text("Which lamp is broken?")
    expect(said.nth(1)).to_contain_text("The tall one, by the photo.")
    screen.get_by_role("checkbox", name=FACT).check()
    screen.keyboard.press("a")
    screen.keyboard.press("1")
    screen.keyboard.press("Control+Enter")

    expect(screen.get_by_text("Approved. Countersign carries it out now")).to_be_visible()
    assert state_of(request) == "approved"


def test_a_note_is_written_by_keyboard_and_its_reader_decides_from_a_new_page(
    live_server: Any, screen: Page
) -> None:
    house = make_people()
    make_person("felix", "finance")
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    sign_in(screen, live_server.url, "fred")
    screen.goto(live_server.url + page(request))

    screen.keyboard.press("n")
    screen.keyboard.type("Wait for the photo, please.")
    screen.keyboard.press("Control+Enter")
    expect(screen.get_by_text("Your colleagues on this case read it here")).to_be_visible()

    sign_in(screen, live_server.url, "felix")
    screen.goto(live_server.url + page(request))
    expect(screen.get_by_role("region", name="Conversation")).to_contain_text("fred, to colleagues")
    screen.get_by_text("Abstain", exact=True).click()
    screen.get_by_label("Why do you leave it to others?").fill("I sold it to her.")
    screen.get_by_role("button", name="Leave it to others").click()
    expect(screen.get_by_text("You abstained; as many others must say yes")).to_be_visible()
    assert state_of(request) == "pending_approval"
    assert ThreadEntry.objects.get(request=request).for_people
