"""Several alike cases decided on one page: each as it was seen, each checked by itself."""

from __future__ import annotations

import re

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from approvals.models import ActionRequest, Decision
from approvals.services import agent_replies
from tests.admin.make import House, browser, state_of, text_of
from tests.approvals.make import approve as approve_it
from tests.approvals.make import crm, make_person, make_request, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

_SEAL = re.compile(r'name="seal" value="([^"]+)"')
OPERATIONS = "operations"


def bulk_url(team: str = OPERATIONS) -> str:
    return reverse("admin:inbox_bulk", args=[team])


def changes(house: House, number: int) -> list[ActionRequest]:
    """So many changes of records that operations decides without a reason."""
    return [
        make_request(
            house.agent,
            crm(f"acct_20{n + 1:02}", notes=f"note {n}"),
            action_type="crm.update",
            session=str(n),
        )
        for n in range(number)
    ]


def opened(client: Client, requests: list[ActionRequest], team: str = OPERATIONS) -> HttpResponse:
    return client.get(bulk_url(team), {"id": [str(one.pk) for one in requests]})


def sent(client: Client, page: HttpResponse, verdict: str, **said: str) -> HttpResponse:
    data = {"seal": _SEAL.findall(text_of(page)), "verdict": verdict, **said}
    return client.post(bulk_url(), data)


def test_ten_are_approved_together_but_for_two_that_changed_meanwhile(house: House) -> None:
    client, colleague = (
        browser(make_person("otto", "operations")),
        make_person("oona", "operations"),
    )
    ten = changes(house, 10)
    page = opened(client, ten)
    approve_it(ten[3], colleague)
    agent_replies.withdraw(ten[7].pk, agent=house.agent)

    answer = sent(client, page, "approve")

    assert "8 of 10 decided" in text_of(answer)
    assert text_of(answer).count("Not decided") == 2
    assert Decision.objects.filter(decider__username="otto").count() == 8
    assert state_of(ten[7]) == "withdrawn"
    assert all(state_of(one) == "approved" for n, one in enumerate(ten) if n != 7)


def test_what_needs_a_reason_is_never_approved_together(house: House) -> None:
    client = browser(house.fred)
    two = [
        make_request(house.agent, refund(f"ch_{n}", "300.00"), session=str(n)) for n in (1004, 1006)
    ]

    answer = opened(client, two, "finance")

    assert answer.status_code == 409
    assert "needs a reason of its own" in text_of(answer)


def test_twins_are_rejected_together_and_not_approved(house: House) -> None:
    client = browser(house.fay)
    twins = [
        make_request(house.agent, refund("ch_1004", "300.00"), session=letter) for letter in "ab"
    ]
    page = opened(client, twins, "finance")
    seals = _SEAL.findall(text_of(page))

    approving = client.post(bulk_url("finance"), {"seal": seals, "verdict": "approve"})
    unexplained = client.post(bulk_url("finance"), {"seal": seals, "verdict": "reject"})
    assert approving.status_code == 409
    assert "0 of 2 decided" in text_of(unexplained)
    assert {state_of(one) for one in twins} == {"pending_approval"}

    rejecting = client.post(
        bulk_url("finance"),
        {"seal": seals, "verdict": "reject", "reason_code": "duplicate", "comment": "Twice."},
    )

    assert "2 of 2 decided" in text_of(rejecting)
    assert {state_of(one) for one in twins} == {"rejected"}


def test_one_kind_one_tier_and_no_more_than_twenty(house: House) -> None:
    client = browser(make_person("otto", "operations"))
    many = changes(house, 2)
    other = make_request(house.agent, refund("ch_1004", "300.00"))

    assert opened(client, many[:1]).status_code == 409
    assert opened(client, [*many, other]).status_code == 200  # another team's does not exist here
    assert text_of(opened(client, [*many, other])).count('name="seal"') == 2
    assert client.get(bulk_url(), {"id": ["x", ""]}).status_code == 409


def test_nobody_decides_with_anothers_page_or_a_forged_one(house: House) -> None:
    two = changes(house, 2)
    page = opened(browser(make_person("otto", "operations")), two)
    villain = browser(make_person("vera", "operations"))

    stolen = sent(villain, page, "approve")
    forged = villain.post(bulk_url(), {"seal": ["x", "y"], "verdict": "approve"})
    empty = villain.post(bulk_url(), {"verdict": "approve"})
    stranger = browser(house.sam).post(bulk_url(), {"seal": ["x"], "verdict": "approve"})

    assert "0 of 2 decided" in text_of(stolen)
    assert (forged.status_code, empty.status_code) == (409, 409)
    assert stranger.status_code == 403
    assert not Decision.objects.exists()
