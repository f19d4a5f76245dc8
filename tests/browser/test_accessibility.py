"""Every page people decide on keeps WCAG 2.2 AA, as far as axe can tell: light, dark, phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import Browser, Page

from approvals.models import ActionRequest
from approvals.services.execute import execute
from approvals.services.saved_views import save_view
from policies.models import PolicyVersion
from tests.admin.make import House, inbox, make_people, page
from tests.approvals.make import approve, crm, make_person, make_plan, make_request, refund
from tests.browser.people import sign_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.once,  # pages look the same whatever is below them
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sandbox"),
]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

SCREENS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}


@pytest.fixture(params=SCREENS, ids=str)
def screen(request: pytest.FixtureRequest, chrome: Browser) -> Iterator[Page]:
    cache.clear()
    context = chrome.new_context(reduced_motion="reduce", **SCREENS[request.param])
    yield context.new_page()
    context.close()


def problems(screen: Page) -> list[str]:
    """What axe finds, one line each: the rule, where, and what it measured."""
    found = Axe().run(screen, options={"runOnly": RULES, "resultTypes": ["violations"]})
    return [
        f"{one['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary'][:150]}"
        for one in found.response["violations"]
        for node in one["nodes"]
    ]


def demand_none(screen: Page, addresses: dict[str, str]) -> None:
    found = []
    for name, address in addresses.items():
        screen.goto(address)
        found += [f"{name}: {problem}" for problem in problems(screen)]
    assert not found, "\n".join(found)


def pending(house: House) -> ActionRequest:
    return make_request(house.agent, refund("ch_1037", "150.00"))


def test_signing_in(live_server: Any, screen: Page) -> None:
    demand_none(screen, {"sign in": live_server.url + reverse("admin:login")})


def test_what_a_reviewer_uses(live_server: Any, screen: Page) -> None:
    house = make_people()
    request = pending(house)
    old = make_request(house.agent, refund("ch_1034", "300.00"))
    new = make_request(house.agent, refund("ch_1034", "280.00"), supersedes=old.pk)
    save_view(house.fred, "finance", name="Money", asked={"tier": "3"})
    sign_in(screen, live_server.url, "fred")

    demand_none(
        screen,
        {
            "landing": live_server.url + reverse("admin:index"),
            "inbox": live_server.url + inbox(),
            "saved view": live_server.url + inbox() + "?tier=3",
            "unsaved view": live_server.url + inbox() + "?tier=2",
            "case": live_server.url + page(request),
            "proposed anew": live_server.url + page(new),
            "search": live_server.url + reverse("admin:search") + "?q=ch_1037",
        },
    )


def test_what_an_auditor_uses(live_server: Any, screen: Page) -> None:
    house = make_people()
    request = pending(house)
    approve(request, house.fred)
    execute(request.pk)
    make_person("ada", "auditor")
    sign_in(screen, live_server.url, "ada")

    demand_none(
        screen,
        {
            "records": live_server.url + reverse("admin:approvals_actionrequest_changelist"),
            "case file": live_server.url
            + reverse("admin:approvals_actionrequest_change", args=[request.pk]),
            "trail": live_server.url + reverse("admin:audit_auditevent_changelist"),
        },
    )


def test_what_an_ops_admin_uses(live_server: Any, screen: Page) -> None:
    make_people()
    make_person("petra", "ops admin")
    in_force = PolicyVersion.objects.get(kind="ordinary", status="published")
    sign_in(screen, live_server.url, "petra")

    demand_none(
        screen,
        {
            "agents": live_server.url + reverse("admin:approvals_agent_changelist"),
            "connections": live_server.url + reverse("admin:connectors_connection_changelist"),
            "pauses": live_server.url + reverse("admin:approvals_pause_changelist"),
            "stop": live_server.url + reverse("admin:approvals_pause_add"),
            "stop payments": live_server.url
            + reverse("admin:approvals_pause_add")
            + "?what=payments",
            "policy": live_server.url + reverse("admin:policies_policyversion_changelist"),
            "policy editor": live_server.url + reverse("admin:policies_policyversion_add"),
            "policy version": live_server.url
            + reverse("admin:policies_policyversion_change", args=[in_force.pk]),
        },
    )


def test_a_plan_and_the_page_of_an_agent(live_server: Any, screen: Page) -> None:
    house = make_people()
    make_person("otto", "operations", "agent owner")
    plan = make_plan(
        house.agent, ("crm.update", crm()), ("refund.issue", refund("ch_1001", "800.00"))
    )
    agent = reverse("admin:approvals_agent_change", args=[house.agent.pk])
    sign_in(screen, live_server.url, "otto")
    demand_none(
        screen,
        {"plan": live_server.url + reverse("admin:approvals_plan_change", args=[plan.pk])},
    )
    make_person("petra", "ops admin")
    sign_in(screen, live_server.url, "petra")

    demand_none(screen, {"agent": live_server.url + agent})

    wide = screen.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0  # nobody scrolls sideways, on a phone either
