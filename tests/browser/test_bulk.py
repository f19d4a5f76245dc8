"""Ten alike cases decided at once, two of which changed while they were on the screen."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from approvals.services import agent_replies
from tests.admin.make import make_people, state_of
from tests.approvals.make import approve, crm, make_person, make_request
from tests.browser.people import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]


def test_of_ten_chosen_in_the_list_eight_are_approved_and_two_say_why_not(
    live_server: Any, screen: Page
) -> None:
    house = make_people()
    make_person("otto", "operations")
    oona = make_person("oona", "operations")
    ten = [
        make_request(
            house.agent,
            crm(f"acct_20{n + 1:02}", notes=f"note {n}"),
            action_type="crm.update",
            session=str(n),
        )
        for n in range(10)
    ]
    sign_in(screen, live_server.url, "otto")
    chosen = "&".join(f"id={one.pk}" for one in ten)
    screen.goto(f"{live_server.url}{reverse('admin:inbox_bulk', args=['operations'])}?{chosen}")
    expect(screen.get_by_role("heading", name="Decide 10 together")).to_be_visible()

    approve(ten[3], oona)
    agent_replies.withdraw(ten[7].pk, agent=house.agent)
    screen.get_by_label("Approve exactly these").check()
    screen.get_by_role("button", name="Send for all 10").click()

    expect(screen.get_by_role("heading", name="8 of 10 decided")).to_be_visible()
    expect(screen.get_by_text("Not decided", exact=True)).to_have_count(2)
    refused = screen.locator(".cs-row", has_text="Not decided")
    expect(refused.first).to_contain_text("This is Approved now: oona decided")
    expect(refused.last).to_contain_text("This is Withdrawn now")
    assert [state_of(one) for one in ten].count("approved") == 9
    assert state_of(ten[7]) == "withdrawn"
