"""An edit is shown with what comes of it before it is sent, by forms alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from approvals.models import ActionRequest
from tests.admin.make import House, action_url, browser, look, seal_of, text_of
from tests.approvals.make import ACCESS, PASSWORD, fresh, make_request, refund
from tests.approvals.story import codes, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

SEND = "Send the edited version</button>"
LOOK = "See what policy says</button>"


def edit(
    client: Client, request: ActionRequest, seal: str, params: dict[str, Any], **fields: Any
) -> HttpResponse:
    team = fields.pop("team", "finance")
    named = {f"param-{name}": value for name, value in params.items()}
    data = {"seal": seal, "reason_code": "corrected", **named, **fields}
    return client.post(action_url(request, "edit", team), data)


def test_the_first_submit_says_what_comes_of_it_and_the_second_does_that(
    house: House, request_: ActionRequest
) -> None:
    client = browser(house.fred)
    smaller = refund("ch_1037", "120.00")
    before, known = snapshot(request_), codes(request_)

    shown = edit(client, request_, look(client, request_), smaller)

    text = text_of(shown)
    assert shown.status_code == 200
    assert (snapshot(request_), codes(request_)) == (before, known)
    said = text[text.index("data-foreseen") : text.index(SEND)]
    assert "Policy asks people." in said
    assert "you no longer count" in said
    assert "<del>150.00</del>" in said
    assert "<ins>120.00</ins>" in said
    assert LOOK not in text
    assert edit(client, request_, seal_of(shown), smaller).status_code == 302
    assert (fresh(request_).version, fresh(request_).amount_minor) == (2, 12_000)


def test_what_was_changed_after_the_look_is_shown_anew(
    house: House, request_: ActionRequest
) -> None:
    client = browser(house.fred)
    shown = edit(client, request_, look(client, request_), refund("ch_1037", "120.00"))

    again = edit(client, request_, seal_of(shown), refund("ch_1037", "90.00"))

    assert again.status_code == 200
    assert "What comes of it is something else now" in text_of(again)
    assert fresh(request_).version == 1
    done = edit(client, request_, seal_of(again), refund("ch_1037", "90.00"))
    assert done.status_code == 302
    assert fresh(request_).amount_minor == 9_000


def test_a_look_of_one_person_is_no_use_to_another(house: House, request_: ActionRequest) -> None:
    smaller = refund("ch_1037", "120.00")
    fred, mona = browser(house.fred), browser(house.mona)
    shown = edit(fred, request_, look(fred, request_), smaller)

    answer = edit(mona, request_, seal_of(shown), smaller, team="manager")

    assert answer.status_code in (404, 409)
    assert fresh(request_).version == 1


def test_a_denial_is_said_before_it_ends_the_request(house: House) -> None:
    request = make_request(house.agent, ACCESS, action_type="access.grant")
    client = browser(house.sam)
    seal = look(client, request, "security")

    shown = edit(client, request, seal, {**ACCESS, "group": "domain-admins"}, team="security")

    assert "Policy denies the edited version." in text_of(shown)
    assert fresh(request).state == "pending_approval"


def test_the_password_is_asked_for_sending_and_not_for_looking(house: House) -> None:
    request = make_request(house.agent, ACCESS, action_type="access.grant")
    client = browser(house.sam)
    edited = {**ACCESS, "group": "crm-readers"}

    shown = edit(client, request, look(client, request, "security"), edited, team="security")
    without = edit(client, request, seal_of(shown), edited, team="security")
    sent = edit(
        client, request, seal_of(without), edited, team="security", password=PASSWORD
    )  # fmt: skip

    assert 'id="edit-password"' in text_of(shown)
    assert (without.status_code, sent.status_code) == (422, 302)
    assert "data-foreseen" in text_of(without)
    assert "Type your password" in text_of(without)
    assert fresh(request).version == 2
