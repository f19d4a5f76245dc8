"""The review page: everything a person needs to decide."""

from __future__ import annotations

import pytest
from django.urls import reverse

from approvals.models import ActionRequest, Decision
from approvals.proposal import SuppliedEvidence
from approvals.services.decide import approve
from approvals.services.execute import execute
from tests.admin.make import House, action_url, browser, page, text_of
from tests.admin.review import NOTHING_WRONG, codes_of
from tests.approvals.make import (
    look_at,
    make_limit,
    make_person,
    make_request,
    manager_refund,
    refund,
)
from tests.database import triggers_off

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def test_the_page_says_what_why_how_final_and_what_a_yes_causes(
    house: House, request_: ActionRequest
) -> None:
    response = browser(house.fred).get(page(request_))
    text = text_of(response)

    assert response.status_code == 200
    assert "Refund 150.00 EUR to the customer of charge ch_1037" in text
    assert "Cannot be undone" in text
    assert "Tier 3" in text
    assert "The customer complained in the last 90 days." in text
    assert "refund-complaints" in text
    assert "Read by the system" in text
    assert "Yours is the last yes. Countersign then does exactly this, once, until" in text
    assert "your limit is 500.00 EUR" in text
    assert "0/1" in text
    assert "agent refund-bot proposed refund.issue" in text
    assert response.headers["Cache-Control"].startswith("max-age=0")


def test_every_rule_clause_by_clause_is_read_when_somebody_opens_it(
    house: House, request_: ActionRequest
) -> None:
    client = browser(house.fred)
    address = reverse("admin:inbox_technical", args=["finance", request_.pk])

    whole = client.get(address)
    fragment = client.get(address, headers={"X-Requested-With": "fetch"})

    for answer in (whole, fragment):
        assert "nearly matched" in text_of(answer)
        assert request_.digest in text_of(answer)
        assert "additionalProperties" in text_of(answer)
    assert "<html" not in text_of(fragment)
    assert f'data-load="{address}"' in text_of(client.get(page(request_)))
    assert browser(house.sam).get(address).status_code == 404


def test_opening_and_prefetching_changes_nothing(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred)
    before = codes_of(request_)

    client.get(page(request_))
    client.head(page(request_))
    client.get(page(request_), headers={"Purpose": "prefetch"})

    assert codes_of(request_) == before
    assert not Decision.objects.exists()


def test_an_unreadable_target_is_said_so(house: House) -> None:
    request = make_request(house.agent, refund("ch_9999", "300.00"))

    assert "Preview unavailable:" in text_of(browser(house.mona).get(page(request, "manager")))


def test_what_the_agent_wrote_is_shown_harmless_and_marked(house: House) -> None:
    request = make_request(
        house.agent,
        refund("ch_1037", "150.00"),
        intent="<script>alert(1)</script> **bold** [x](javascript:alert(1)) \u202eevil 200.00 EUR",
        evidence=(
            SuppliedEvidence(
                kind="email",
                title="<b>From the CFO</b>",
                uri="javascript:alert(1)",
                authority="</dd><img src=x onerror=alert(1)>",
                excerpt="<img src=x onerror=alert(1)> already approved by the CFO\u200b",
            ),
            SuppliedEvidence(
                kind="ticket", title="Ticket", uri="https://help.example/1", excerpt="fine"
            ),
            SuppliedEvidence(kind="page", title="Plain", uri="http://10.0.0.1/", excerpt="fine"),
        ),
    )
    text = text_of(browser(house.fred).get(page(request)))

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<img src=x" not in text
    assert "<b>From the CFO" not in text
    assert "\u202e" not in text
    assert "[U+202E]evil" in text
    assert "[U+200B]" in text
    assert "**bold**" in text
    assert 'href="javascript:' not in text
    assert 'href="http://10.' not in text
    assert 'href="https://help.example/1" rel="noopener noreferrer nofollow"' in text
    assert "opens help.example" in text
    assert "Written by the agent" in text
    assert "tries to give instructions" in text
    assert "It speaks of 200.00 EUR; the action is for 150.00 EUR." in text


def test_somebody_over_their_limit_reads_why_and_who_can(
    house: House, request_: ActionRequest
) -> None:
    request, finn = request_, make_person("finn", "finance")
    make_limit(finn, "100.00")

    text = text_of(browser(finn).get(page(request)))

    assert "This is above your approval limit (100.00 EUR)." in text
    who = "fay (finance, up to 2,000.00 EUR), fred (finance, up to 500.00 EUR)"
    assert f"{who} can decide this." in text
    assert action_url(request, "approve") not in text
    assert action_url(request, "edit") not in text
    assert action_url(request, "reject") in text


def offers_to_decide(text: str) -> bool:
    """Whether the page has any form but that for a note, which whoever was asked may write."""
    return "data-answer" in text.replace('data-answer="note"', "")


def test_the_agents_owner_reads_that_somebody_else_decides(house: House) -> None:
    owner = make_person("otto", "finance", "agent owner")
    house.agent.owner = owner
    with triggers_off():
        house.agent.save()
    request = make_request(house.agent, refund("ch_1037", "150.00"))

    text = text_of(browser(owner).get(page(request)))

    assert "You took part in this request (the agent&#x27;s owner)" in text
    assert not offers_to_decide(text)


def test_a_page_that_came_too_late_says_who_decided(house: House, request_: ActionRequest) -> None:
    approve(request_.pk, decider=house.fay, reviewed=look_at(request_, house.fay), **NOTHING_WRONG)

    text = text_of(browser(house.fred).get(page(request_)))

    assert "fay approved this on" in text
    assert not offers_to_decide(text)


def test_a_reviewer_sees_what_ran_in_the_session(house: House) -> None:
    tag = {"record": "acct_2001", "tag": "vip"}
    ran = make_request(house.agent, tag, action_type="crm.tag", session="s1")
    execute(ran.pk)
    other = make_request(house.agent, tag, action_type="crm.tag", session="s2")
    waits = make_request(house.agent, manager_refund(), session="s1")

    shown = text_of(browser(house.mona).get(page(waits, "manager")))

    section = shown[shown.index("data-session") :]
    section = section[: section.index("</section>")]
    assert f"/{ran.pk}/" in section
    assert ">ran</span>" in section
    assert str(other.pk) not in section
    assert "Sources the agent says it had read by then: unknown." in section
