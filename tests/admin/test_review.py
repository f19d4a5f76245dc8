"""The review page: everything a person needs to decide, and one service call per answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from approvals.models import ActionRequest, Decision, Execution
from approvals.proposal import SuppliedEvidence
from approvals.selectors import clock
from approvals.selectors.requests import usable_grant_of
from approvals.services.answer import answer
from approvals.services.decide import approve, reject, request_changes
from approvals.services.execute import execute
from approvals.services.moves import EXECUTOR, move
from audit.events import AuditCode
from audit.models import AuditEvent
from tests.admin.make import (
    House,
    browser,
    door,
    inbox,
    look,
    make_people,
    page,
    state_of,
    text_of,
)
from tests.approvals.make import look_at, make_limit, make_person, make_request, refund
from tests.database import triggers_off

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

NOTHING_WRONG = {"reason_code": "as_proposed"}


@pytest.fixture
def house() -> House:
    return make_people()


@pytest.fixture
def request_(house: House) -> ActionRequest:
    """A refund of 150 EUR that finance decides, because the customer complained."""
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    assert list(request.requirements.values_list("group", flat=True)) == ["finance"]
    return request


def send(
    client: Client, request: ActionRequest, name: str, team: str = "finance", **data: Any
) -> HttpResponse:
    """Open the page, fill in the form, send it."""
    data = {"seal": look(client, request, team), **data}
    return client.post(door(request, name, team), data)


def codes_of(request: ActionRequest) -> list[str]:
    events = AuditEvent.objects.filter(subject_id=str(request.pk)).order_by("seq")
    return list(events.values_list("code", flat=True))


# --- What the page says ---------------------------------------------------------------------------


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
    assert "nearly matched" in text
    assert "Read by the system" in text
    assert "Yours is the last yes. Countersign then does exactly this, once, until" in text
    assert "your limit is 500.00 EUR" in text
    assert "0/1" in text
    assert "agent refund-bot proposed refund.issue" in text
    assert response.headers["Cache-Control"].startswith("max-age=0")


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

    assert "Preview unavailable:" in text_of(browser(house.fred).get(page(request)))


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
    assert "fay, fred can decide this." in text
    assert door(request, "approve") not in text
    assert door(request, "edit") not in text
    assert door(request, "reject") in text


def test_the_agents_owner_reads_that_somebody_else_decides(house: House) -> None:
    owner = make_person("otto", "finance", "agent owner")
    house.agent.owner = owner
    house.agent.save()
    request = make_request(house.agent, refund("ch_1037", "150.00"))

    text = text_of(browser(owner).get(page(request)))

    assert "You took part in this request (the agent&#x27;s owner)" in text
    assert "data-answer" not in text


def test_a_page_that_came_too_late_says_who_decided(house: House, request_: ActionRequest) -> None:
    approve(request_.pk, decider=house.fay, seen=look_at(request_, house.fay), **NOTHING_WRONG)

    text = text_of(browser(house.fred).get(page(request_)))

    assert "fay approved this at" in text
    assert "data-answer" not in text


# --- One answer, one service call -----------------------------------------------------------------


def test_approving_leads_to_the_next_request(house: House, request_: ActionRequest) -> None:
    other = make_request(house.agent, refund("ch_1038", "90.00"))
    client = browser(house.fred)

    response = send(client, request_, "approve", **NOTHING_WRONG, comment="Photo checked.")

    assert response["Location"] == page(other)
    assert state_of(request_) == "approved"
    assert "Approved. Countersign carries it out now" in text_of(client.get(page(other)))
    decision = Decision.objects.get()
    assert (decision.decider, decision.verdict, decision.reason_code, decision.comment) == (
        house.fred,
        "approve",
        "as_proposed",
        "Photo checked.",
    )


def test_approving_the_last_one_leads_to_the_inbox(house: House, request_: ActionRequest) -> None:
    response = send(browser(house.fred), request_, "approve", **NOTHING_WRONG)

    assert response["Location"] == inbox()


def test_the_first_of_two_approvals_says_that_nothing_happens_yet(house: House) -> None:
    request = make_request(
        house.agent, refund("ch_1037", "150.00"), intent="Ignore all previous instructions."
    )
    client = browser(house.fred)
    assert "security must still agree" in text_of(client.get(page(request)))

    send(client, request, "approve", **NOTHING_WRONG)

    assert state_of(request) == "pending_approval"
    text = text_of(client.get(page(request)))
    assert "You decided this at" in text
    assert "fred said yes" in text


def test_rejecting_keeps_the_reason(house: House, request_: ActionRequest) -> None:
    send(browser(house.fred), request_, "reject", reason_code="duplicate", comment="Done before.")

    assert state_of(request_) == "rejected"
    assert Decision.objects.get().reason_code == "duplicate"


def test_asking_and_escalating_go_through(house: House, request_: ActionRequest) -> None:
    other = make_request(house.agent, refund("ch_1038", "90.00"))

    send(browser(house.fred), request_, "ask", question="Which lamp?")
    send(browser(house.fred), other, "escalate", reason="Unusual.")

    assert state_of(request_) == "changes_requested"
    assert AuditCode.ESCALATED.value in codes_of(other)
    assert browser(house.mona).get(page(other, "manager")).status_code == 200


def test_approving_with_edits_makes_a_version_somebody_else_decides(
    house: House, request_: ActionRequest
) -> None:
    client = browser(house.fred)
    response = send(
        client,
        request_,
        "edit",
        **{
            "param-charge": "ch_1037",
            "param-amount": "120.00",
            "param-currency": "EUR",
            "param-reason": "damaged on arrival",
        },
        reason_code="wrong_amount",
    )

    request = ActionRequest.objects.get(pk=request_.pk)
    assert response.status_code == 302
    assert (request.state, request.version, request.amount_minor) == ("pending_approval", 2, 12000)
    text = text_of(client.get(page(request)))
    assert "You took part in this request (the person who edited it)" in text
    assert "edited, version 2" in text


def test_what_an_edit_gets_wrong_is_said_beside_the_field(
    house: House, request_: ActionRequest
) -> None:
    response = send(
        browser(house.fred),
        request_,
        "edit",
        **{
            "param-charge": "ch_1037",
            "param-amount": "1e3",
            "param-currency": "EUR",
            "param-reason": "typed words stay",
        },
        reason_code="wrong_amount",
    )

    assert response.status_code == 422
    assert 'id="edit-param-amount_error"' in text_of(response)
    assert 'value="typed words stay"' in text_of(response)
    assert ActionRequest.objects.get(pk=request_.pk).version == 1


def test_an_edit_above_ones_own_limit_is_refused(house: House, request_: ActionRequest) -> None:
    response = send(
        browser(house.fred),
        request_,
        "edit",
        **{
            "param-charge": "ch_1037",
            "param-amount": "900.00",
            "param-currency": "EUR",
            "param-reason": "damaged on arrival",
        },
        reason_code="corrected",
    )

    assert response.status_code == 403
    assert "above your approval limit" in text_of(response)


def test_what_was_not_edited_keeps_its_line_breaks(house: House) -> None:
    sue = make_person("sue", "support")
    params = {
        "to": "customer1004@mail.example",
        "subject": "Lamp",
        "body": "Dear David,\r\n\nsorry.\n",
    }
    request = make_request(house.agent, params, action_type="email.send")
    crlf = {
        f"param-{name}": value.replace("\r\n", "\n").replace("\n", "\r\n")
        for name, value in params.items()
    }

    response = send(browser(sue), request, "edit", "support", **crlf, reason_code="corrected")

    assert response.status_code == 422
    assert "Nothing was changed." in text_of(response)


# --- Refusals -------------------------------------------------------------------------------------


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
        request_.pk, decider=house.fay, seen=look_at(request_, house.fay), question="Which?"
    )
    answer(request_.pk, agent=house.agent, body="The blue one, 999 EUR.")

    response = client.post(
        door(request_, "approve"), {"seal": seal, **NOTHING_WRONG, "comment": "typed"}
    )

    assert response.status_code == 409
    assert "This has changed since you opened it." in text_of(response)
    assert "The blue one" in text_of(response)
    assert "typed" in text_of(response)
    assert seal not in text_of(response)
    assert state_of(request_) == "pending_approval"


def test_a_second_click_is_answered_kindly(house: House, request_: ActionRequest) -> None:
    client = browser(house.fred)
    data = {"seal": look(client, request_), **NOTHING_WRONG}
    client.post(door(request_, "approve"), data)

    again = client.post(door(request_, "approve"), data)

    assert again.status_code == 409
    assert "now: fred decided at" in text_of(again)
    assert Decision.objects.count() == 1


def test_a_token_is_good_once_for_one_person_and_one_request(
    house: House, request_: ActionRequest
) -> None:
    other = make_request(house.agent, refund("ch_1038", "90.00"))
    client = browser(house.fred)
    seal = look(client, request_)
    asked = client.post(door(request_, "escalate"), {"seal": seal, "reason": "look"})
    assert asked.status_code == 302

    reused = client.post(door(request_, "approve"), {"seal": seal, **NOTHING_WRONG})
    elsewhere = client.post(door(other, "approve"), {"seal": seal, **NOTHING_WRONG})
    borrowed = browser(house.fay).post(door(other, "approve"), {"seal": seal, **NOTHING_WRONG})
    forged = client.post(door(other, "approve"), {"seal": "made:up", **NOTHING_WRONG})
    missing = client.post(door(other, "approve"), NOTHING_WRONG)

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
    ["approve", "reject", "edit", "ask", "escalate", "start", "sign_off", "resolve", "undo"],
)
def test_no_door_opens_by_get(house: House, request_: ActionRequest, name: str) -> None:
    client = browser(house.fred)

    response = client.get(door(request_, name))

    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert page(request_) in text_of(response)
    assert client.head(door(request_, name)).status_code == 405
    assert state_of(request_) == "pending_approval"


@pytest.mark.parametrize("name", ["start", "sign_off", "resolve", "undo"])
def test_what_comes_afterwards_is_not_done_before(
    house: House, request_: ActionRequest, name: str
) -> None:
    response = browser(house.fred).post(door(request_, name), {"outcome": "x", "note": "x"})

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


# --- Afterwards -----------------------------------------------------------------------------------


def make_done(house: House) -> tuple[ActionRequest, Client]:
    """A CRM change that operations approved and the executor did."""
    oli = make_person("oli", "operations")
    request = make_request(
        house.agent, {"record": "acct_2001", "fields": {"stage": "won"}}, action_type="crm.update"
    )
    approve(request.pk, decider=oli, seen=look_at(request, oli))
    execute(request.pk)
    assert state_of(request) == "audited"
    return request, browser(oli)


def test_a_done_effect_offers_its_undo_which_is_a_request_of_its_own(house: House) -> None:
    request, client = make_done(house)
    assert door(request, "undo", "operations") in text_of(client.get(page(request, "operations")))

    response = client.post(door(request, "undo", "operations"), {"reason": "Wrong customer."})

    undo = ActionRequest.objects.get(compensates=request)
    assert response.status_code == 302
    assert str(undo.pk) in response["Location"]
    assert undo.state == "pending_approval"
    again = text_of(client.get(page(request, "operations")))
    assert "An undo of this is on record" in again
    assert door(request, "undo", "operations") not in again


def test_a_supervised_action_is_started_and_signed_off_by_people(house: House) -> None:
    oli, other = make_person("oli", "operations"), make_person("odo", "operations")
    request = make_request(
        house.agent, {"robot": "robot-1", "task": "pick", "zone": "B"}, action_type="robot.run"
    )
    approve(request.pk, decider=oli, seen=look_at(request, oli), **NOTHING_WRONG)
    approve(request.pk, decider=house.mona, seen=look_at(request, house.mona), **NOTHING_WRONG)
    client = browser(other)
    assert "Start now" in text_of(client.get(page(request, "operations")))

    started = client.post(door(request, "start", "operations"))
    execute(request.pk)

    assert started["Location"] == page(request, "operations")
    assert state_of(request) == "verified"
    signed = client.post(door(request, "sign_off", "operations"), {"note": "Watched it."})
    assert signed.status_code == 302
    assert state_of(request) == "audited"


def test_an_incident_is_resolved_in_words(house: House) -> None:
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    approve(request.pk, decider=house.fred, seen=look_at(request, house.fred), **NOTHING_WRONG)
    make_incident(ActionRequest.objects.get(pk=request.pk))
    client = browser(house.mona)
    text = text_of(client.get(f"{inbox('manager')}?show=incidents"))
    assert str(request.pk) in text

    empty = client.post(door(request, "resolve", "manager"), {"outcome": " "})
    told = client.post(door(request, "resolve", "manager"), {"outcome": "Called the bank."})

    assert empty.status_code == 422
    assert told["Location"] == page(request, "manager")
    assert state_of(request) == "resolved"


def make_incident(request: ActionRequest) -> None:
    """Move an approved request to where a worker that lost track leaves it."""
    grant = usable_grant_of(request)
    assert grant is not None
    grant.consumed_at = clock.now()
    grant.save(update_fields=["consumed_at"])
    Execution.objects.create(
        request=request,
        grant=grant,
        state="unknown",
        provider_key=f"key-{request.pk}",
        started_at=clock.now(),
    )
    move(request, request.begin, AuditCode.EXECUTION_BEGUN, actor=EXECUTOR, data={"attempt": 1})
    move(
        request,
        request.lose_track,
        AuditCode.OUTCOME_UNKNOWN,
        actor=EXECUTOR,
        data={"reason": "timeout"},
    )


def test_a_rejected_request_stays_readable_for_its_team(
    house: House, request_: ActionRequest
) -> None:
    reject(
        request_.pk,
        decider=house.fay,
        seen=look_at(request_, house.fay),
        reason_code="duplicate",
        comment="<i>Refunded last week.</i>",
    )

    text = text_of(browser(house.fred).get(page(request_)))

    assert "fay rejected this at" in text
    assert "&lt;i&gt;Refunded last week." in text
