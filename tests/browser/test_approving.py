"""A reviewer signs in, looks, approves; the refund happens; the page says it was verified."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from approvals.models import ActionRequest
from approvals.services.execute import execute
from connectors.sandbox.server import Sandbox
from tests.admin.make import make_people, page
from tests.approvals.make import make_request, refund
from tests.browser.people import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_reviewer_approves_a_refund_that_is_then_done_and_verified(
    live_server: Any, screen: Page, sandbox: Sandbox
) -> None:
    house = make_people()
    request = make_request(house.agent, refund("ch_1037", "150.00"))

    sign_in(screen, live_server.url, "fred")
    screen.get_by_role("link", name="1 to decide").click()
    screen.get_by_role("link", name="Refund 150.00 EUR to Quentin Leroy").click()
    expect(screen.locator(".cs-effect")).to_contain_text("Refund 150.00 EUR")
    screen.locator("[data-answer=approve] summary").click()
    screen.locator("#approve-reason_code").select_option("as_proposed")
    send = screen.get_by_role("button", name="Approve 150.00 EUR to Quentin Leroy")
    screen.get_by_role("checkbox", name="The customer complained in the last 90 days.").check()
    send.click()
    expect(screen.get_by_text("Approved. Countersign carries it out now")).to_be_visible()

    assert ActionRequest.objects.get(pk=request.pk).state == "approved"
    execute(request.pk)  # what the worker does when the message arrives

    screen.goto(live_server.url + page(request))
    expect(screen.locator(".cs-head-badges")).to_contain_text("Audited")
    history = screen.get_by_role("region", name="History")
    expect(history).to_contain_text("Read back and equal")
    effects = httpx.get(f"{sandbox.addresses['payments']}/_effects").json()
    assert len([effect for effect in effects if "ch_1037" in str(effect)]) == 1


def test_keys_open_forms_and_never_send_them(live_server: Any, screen: Page, sandbox: Any) -> None:
    house = make_people()
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    other = make_request(house.agent, refund("ch_1038", "90.00"))
    sign_in(screen, live_server.url, "fred")
    screen.goto(live_server.url + page(request))

    screen.keyboard.press("a")
    expect(screen.locator("input[name=confirmed]")).to_be_focused()
    screen.keyboard.press("Space")
    screen.keyboard.press("a")
    expect(screen.locator("#approve-reason_code")).to_be_focused()
    screen.keyboard.press("Escape")
    screen.keyboard.press("r")
    expect(screen.locator("#reject-reason_code")).to_be_focused()
    expect(screen.locator("[data-answer=approve]")).not_to_have_attribute("open", "")
    screen.locator("#reject-comment").focus()
    screen.keyboard.type("area jk? ox")
    expect(screen.locator("#reject-comment")).to_have_value("area jk? ox")
    screen.keyboard.press("Escape")
    screen.keyboard.press("o")
    expect(screen.locator("#evidence")).to_be_focused()
    screen.keyboard.press("?")
    expect(screen.locator("dialog[data-help]")).to_be_visible()
    screen.keyboard.press("Escape")
    screen.keyboard.press("j")
    screen.wait_for_url(live_server.url + page(other))

    assert not ActionRequest.objects.exclude(state="pending_approval").exists()


def test_agent_text_runs_nothing_in_a_real_browser(
    live_server: Any, screen: Page, sandbox: Any
) -> None:
    house = make_people()
    villain = "</blockquote><img src=x onerror=document.title='owned'><script>alert(1)</script>"
    request = make_request(house.agent, refund("ch_1037", "150.00"), intent=villain)
    screen.on("dialog", lambda dialog: pytest.fail("a script ran"))
    sign_in(screen, live_server.url, "fred")

    screen.goto(live_server.url + page(request))

    expect(screen.locator("[data-agent-region] blockquote").first).to_have_text(villain)
    assert screen.title() != "owned"
