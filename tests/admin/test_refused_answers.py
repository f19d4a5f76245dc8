"""What the review page refuses, and how kindly it says so."""

from __future__ import annotations

import pytest

from approvals.models import ActionRequest, Decision
from approvals.services.agent_replies import answer
from approvals.services.decide import request_changes
from audit.events import AuditCode
from tests.admin.make import House, action_url, browser, inbox, look, page, state_of, text_of
from tests.admin.review import NOTHING_WRONG, codes_of, send
from tests.approvals.make import look_at, make_limit, make_person, make_request, refund
from tests.database import triggers_off

TICKED = {**NOTHING_WRONG, "confirmed": ["refund-complaints"]}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def test_a_missing_reason_keeps_what_was_typed(house: House, request_: ActionRequest) -> None:
    response = send(browser(house.fred), request_, "approve", comment="My careful words.")

    assert response.status_code == 422
    assert "Choose a reason from the list." in text_of(response)
    assert "My careful words." in text_of(response)
    assert state_of(request_) == "pending_approval"


def test_a_stale_page_is_refused_and_shown_anew(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred)
    seal = look(client, request_)
    request_changes(
        request_.pk, decider=house.fay, reviewed=look_at(request_, house.fay), question="Which?"
    )
    answer(request_.pk, agent=house.agent, body="The blue one, 999 EUR.")

    response = client.post(
        action_url(request_, "approve"),
        {"seal": seal, **TICKED, "comment": "typed"},
    )

    assert response.status_code == 409
    assert "This has changed since you opened it." in text_of(response)
    assert "The blue one" in text_of(response)
    assert "typed" in text_of(response)
    assert seal not in text_of(response)
    assert state_of(request_) == "pending_approval"


def test_a_second_click_is_answered_kindly(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred)
    data = {"seal": look(client, request_), **TICKED}
    client.post(action_url(request_, "approve"), data)

    again = client.post(action_url(request_, "approve"), data)

    assert again.status_code == 409
    assert "now: fred decided on" in text_of(again)
    assert Decision.objects.count() == 1


def test_a_token_is_good_once_for_one_person_and_one_request(
    house: House, request_: ActionRequest
) -> None:
    other = make_request(house.agent, refund("ch_1038", "90.00"))
    client = browser(house.fred)
    seal = look(client, request_)
    asked = client.post(action_url(request_, "escalate"), {"seal": seal, "reason": "look"})
    assert asked.status_code == 302

    reused = client.post(
        action_url(request_, "approve"),
        {"seal": seal, **TICKED},
    )
    elsewhere = client.post(action_url(other, "approve"), {"seal": seal, **TICKED})
    borrowed = browser(house.fay).post(action_url(other, "approve"), {"seal": seal, **TICKED})
    forged = client.post(
        action_url(other, "approve"),
        {"seal": "made:up", **TICKED},
    )
    missing = client.post(action_url(other, "approve"), NOTHING_WRONG)

    assert "This page has been used already." in text_of(reused)
    statuses = {r.status_code for r in (reused, elsewhere, borrowed, forged, missing)}
    assert statuses == {409}
    assert state_of(request_) == state_of(other) == "pending_approval"


def test_somebody_over_their_limit_cannot_approve_by_a_crafted_form(
    house: House, request_: ActionRequest
) -> None:
    request, finn = request_, make_person("finn", "finance")
    make_limit(finn, "100.00")

    response = send(browser(finn), request, "approve", **NOTHING_WRONG)

    assert response.status_code == 403
    assert "This is above your approval limit (100.00 EUR)." in text_of(response)
    assert state_of(request) == "pending_approval"
    assert AuditCode.DECISION_REFUSED.value in codes_of(request)


def test_a_form_without_the_csrf_token_is_refused(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred, enforce_csrf_checks=True)

    response = send(client, request_, "approve", **NOTHING_WRONG)

    assert response.status_code == 403
    assert state_of(request_) == "pending_approval"


@pytest.mark.parametrize(
    "name",
    [
        *("approve", "reject", "edit", "ask", "escalate"),
        *("start", "stop", "sign_off", "resolve", "undo"),
    ],
)
def test_no_door_opens_by_get(house: House, request_: ActionRequest, name: str) -> None:
    client = browser(house.fred)

    response = client.get(action_url(request_, name))

    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert page(request_) in text_of(response)
    assert client.head(action_url(request_, name)).status_code == 405
    assert state_of(request_) == "pending_approval"


@pytest.mark.parametrize("name", ["start", "stop", "sign_off", "resolve", "undo"])
def test_what_comes_afterwards_is_not_done_before(
    house: House, request_: ActionRequest, name: str
) -> None:
    said = {"outcome": "x", "applied": "yes", "note": "x", "reason": "x"}

    response = browser(house.fred).post(action_url(request_, name), said)

    assert response.status_code == 409
    assert state_of(request_) == "pending_approval"


def test_stored_bytes_that_do_not_match_their_digest_stop_the_page(
    house: House, request_: ActionRequest
) -> None:
    with triggers_off():
        request_.contents.update(action='{"action_type":"refund.issue","params":{}}')

    response = browser(house.fred).get(page(request_))

    assert response.status_code == 409
    assert "Nothing can be decided here." in text_of(response)


def test_who_opens_it_is_told_that_others_know_and_managers_find_it_among_the_incidents(
    house: House, request_: ActionRequest
) -> None:
    with triggers_off():
        request_.contents.update(action='{"action_type":"refund.issue","params":{}}')

    for _ in range(3):
        told = text_of(browser(house.fred).get(page(request_)))
    listed = browser(house.mona).get(f"{inbox('manager')}?show=incidents")

    assert "Ops admins, security and auditors have been told." in told
    assert request_.integrity_incidents.count() == 1
    assert listed.status_code == 200
    assert str(request_.pk) in text_of(listed)
    assert browser(house.mona).get(page(request_, "manager")).status_code == 409
