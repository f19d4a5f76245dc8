"""Two risk owners change the refund limit in the browser: written, replayed, published."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from approvals.models import ActionRequest
from policies.models import Backtest, PolicyVersion
from policies.services.backtests import run_backtest
from policies.services.ownership import OwnerRow, set_owners
from tests.admin.make import make_people, page
from tests.approvals.make import (
    INSTALLER,
    make_person,
    make_request,
    make_team,
    refund,
)
from tests.browser.people import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BETWEEN = ("260.00", "300.00", "399.99")
OTHERS = ("120.00", "410.00")


@pytest.fixture
def screen(chrome: Browser) -> Iterator[Page]:
    """A page whose console stays silent but for the answer 422, which Chromium calls an error."""
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "status of 422" not in message.text:
            complaints.append(message.text)

    context = chrome.new_context(viewport={"width": 1280, "height": 900})
    shown = context.new_page()
    shown.on("console", listen)
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    yield shown
    context.close()
    assert complaints == []


def show_document(screen: Page) -> None:
    """Unfold the YAML behind the form for its numbers."""
    screen.locator("[data-yaml]").evaluate("one => { one.open = true; }")


def change_the_limit(screen: Page, to: str) -> None:
    """Type into the editor what a risk owner would."""
    show_document(screen)
    document = screen.locator("#document")
    text = document.input_value()
    assert "refund_automatic: 25000" in text
    document.fill(text.replace("refund_automatic: 25000", f"refund_automatic: {to}"))


def test_a_limit_is_raised_by_two_people_after_a_replay(
    live_server: Any, screen: Page, sandbox: Any
) -> None:
    house = make_people()
    make_person("rita", "risk owner")
    make_person("rolf", "risk owner")
    waiting = [
        make_request(house.agent, refund(f"ch_10{20 + n}", amount))
        for n, amount in enumerate((*BETWEEN, *OTHERS))
    ]
    before = PolicyVersion.objects.get()

    sign_in(screen, live_server.url, "rita")
    screen.get_by_role("link", name="Policy versions").click()
    screen.get_by_role("link", name="New draft from the version in force").click()
    change_the_limit(screen, "40000 # cents")
    screen.fill("#reason", "Clean refunds up to 400.00 EUR run by themselves.")
    screen.get_by_role("button", name="Check without saving").click()
    expect(screen.get_by_text("Checked, not saved")).to_be_visible()
    assert PolicyVersion.objects.count() == 1
    screen.get_by_role("button", name="Save as draft").click()
    expect(screen.locator("[aria-labelledby=findings]")).to_contain_text("allows more")
    expect(screen.locator("[aria-labelledby=changes]")).to_contain_text("40000")

    screen.get_by_role("button", name="Replay over past requests").click()
    expect(screen.locator("[data-progress]")).to_be_visible()
    run_backtest(Backtest.objects.get().pk)  # what the worker does when the message arrives
    expect(screen.locator(".policy-sentence")).to_contain_text(
        "Of 5 past requests 3 would have gone through automatically, 959.99 EUR in all; "
        "none would have needed people."
    )

    screen.fill("#why-propose", "Finance agreed on it last week.")
    screen.get_by_role("button", name="Ask for publication").click()
    expect(screen.locator(".policy-step")).to_contain_text(
        "You wrote in this version; somebody else publishes it."
    )
    expect(screen.get_by_role("button", name="Publish")).to_have_count(0)
    version = PolicyVersion.objects.get(status="proposed")
    address = screen.url

    sign_in(screen, live_server.url, "rolf")
    screen.goto(address)
    screen.get_by_role("link", name="Every request that differs").click()
    expect(screen.locator("#flips tbody tr")).to_have_count(3)
    screen.goto(address)
    screen.fill("#why-publish", "The replay shows what we expected.")
    screen.get_by_role("button", name=f"Publish {version.label}").click()
    expect(screen.locator(".cs-head-badges")).to_contain_text("in force")

    version.refresh_from_db()
    before.refresh_from_db()
    assert (version.status, before.status) == ("published", "retired")
    pending = ActionRequest.objects.get(pk=waiting[1].pk)
    assert pending.state == "pending_approval"
    assert pending.policy_decisions.get().policy_version == before
    now = make_request(house.agent, refund("ch_1030", "300.00"))
    assert now.policy_decisions.get().policy_version == version
    assert now.state == "approved"

    sign_in(screen, live_server.url, "fred")
    screen.goto(live_server.url + page(waiting[1]))
    expect(screen.locator("[aria-labelledby=why]")).to_contain_text(f"policy {before.label}")


def test_a_mistake_is_found_at_its_place_and_nothing_typed_is_lost(
    live_server: Any, screen: Page, sandbox: Any
) -> None:
    make_people()
    make_person("rita", "risk owner")
    sign_in(screen, live_server.url, "rita")
    screen.goto(live_server.url + reverse("admin:policies_policyversion_add"))
    show_document(screen)
    document = screen.locator("#document")
    text = document.input_value()
    wrong = text.replace("- customer.known\n", "- custommer.known\n", 1)
    place = wrong.index("custommer.known")
    document.fill(wrong)
    screen.fill("#reason", "Only known customers.")

    screen.get_by_role("button", name="Save as draft").click()

    problem = screen.locator("[data-problem]")
    expect(problem).to_contain_text("Did you mean 'customer.known'?")
    expect(screen.locator("#reason")).to_have_value("Only known customers.")
    assert document.input_value() == wrong
    line = wrong[:place].count("\n") + 1
    expect(screen.locator("[data-gutter] .is-marked")).to_have_text(str(line))
    problem.get_by_role("link").click()
    assert document.evaluate("one => one.selectionStart") == place
    assert PolicyVersion.objects.count() == 1

    screen.fill("#word-filter", "complain")
    expect(screen.locator("[data-insert='customer.complaints_90d']")).to_be_visible()
    expect(screen.locator("[data-insert='agent.team']")).to_be_hidden()


WON_DEALS = """
  - id: large-enterprise-deal
    owner: head of sales
    reason: A large deal with a business customer is the account owner's and sales operations'.
    on: [crm.update]
    when:
      - has(params.fields.stage) && params.fields.stage == "won"
      - customer.segment == "business"
      - has(target.deal_minor) && target.deal_minor > 5000000 # 50,000.00
    effect: require_approval
    requirements:
      - {group: "owner:data"}
      - {group: sales-operations}
  - id: enterprise-deal-won
"""
BUSINESS = '      - customer.segment == "business"\n'
RECORDS = '    when:\n      - action.type in ["crm.update", "order.correct"]\n'
OTHER_CHANGES = """\
      - >-
        !(has(params.fields.stage) && params.fields.stage == "won" && customer.segment == "business"
        && has(target.deal_minor) && target.deal_minor > 5000000)
"""
SMALL_DEALS = "      - '!has(target.deal_minor) || target.deal_minor <= 5000000'\n"


def test_a_rule_about_the_case_sends_won_deals_to_their_owner_and_to_a_team_of_ones_own(
    live_server: Any, screen: Page, sandbox: Any
) -> None:
    """ "Won deals of enterprise accounts above 50,000.00 go to the account's owner and sales
    operations": the owner is found by the account, the team was made in the admin."""
    house = make_people()
    for name in ("rita", "rolf"):
        make_person(name, "risk owner")
    make_team("sales-operations", make_person("sol"))
    owned = OwnerRow("records", "account acct_2007", "data", person=make_person("mia").username)
    set_owners([owned], actor=INSTALLER, reason="test")
    make_request(house.agent, won("acct_2003"), action_type="crm.update")

    sign_in(screen, live_server.url, "rita")
    screen.goto(live_server.url + reverse("admin:policies_policyversion_add"))
    show_document(screen)
    document = screen.locator("#document")
    text = document.input_value()
    for old, new in (
        (BUSINESS, f"{BUSINESS}{SMALL_DEALS}"),
        (RECORDS, f"    on: [crm.update, order.correct]\n    when:\n{OTHER_CHANGES}"),
        ("\n  - id: enterprise-deal-won\n", WON_DEALS),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    document.fill(text)
    screen.fill("#reason", "Large deals are looked at by those who know them.")
    screen.get_by_role("button", name="Save as draft").click()
    expect(screen.locator("[aria-labelledby=changes]")).to_contain_text("large-enterprise-deal")
    screen.get_by_role("button", name="Replay over past requests").click()
    run_backtest(Backtest.objects.get().pk)  # what the worker does when the message arrives
    expect(screen.locator(".policy-sentence")).to_contain_text(
        "The one past request would have been answered the same."
    )
    screen.fill("#why-propose", "Sales asked for it.")
    screen.get_by_role("button", name="Ask for publication").click()
    version = PolicyVersion.objects.get(status="proposed")
    address = screen.url
    sign_in(screen, live_server.url, "rolf")
    screen.goto(address)
    screen.fill("#why-publish", "The replay shows what we expected.")
    screen.get_by_role("button", name=f"Publish {version.label}").click()
    expect(screen.locator(".cs-head-badges")).to_contain_text("in force")

    large = make_request(house.agent, won("acct_2007"), action_type="crm.update")
    small = make_request(house.agent, won("acct_2011"), action_type="crm.update")

    assert asked_of(large) == ["@mia", "sales-operations"]
    assert asked_of(small) == ["operations"]
    for name in ("sol", "mia"):
        sign_in(screen, live_server.url, name)
        screen.goto(live_server.url + reverse("review", args=[large.pk]))
        expect(screen.locator(".cs-exactly")).to_contain_text("acct_2007")
        expect(screen.locator("[data-answer=approve]")).to_be_visible()


def won(account: str) -> dict[str, Any]:
    return {"record": account, "fields": {"stage": "won"}}


def asked_of(request: ActionRequest) -> list[str]:
    asked = request.requirements.filter(is_open=True)
    return sorted(set(asked.values_list("group", flat=True)))
