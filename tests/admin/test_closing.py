"""After a decision: undo, start, sign off, resolve."""

from __future__ import annotations

import pytest
from django.test import Client

from approvals.domain.transitions import EXECUTOR, move
from approvals.models import ActionRequest, Execution
from approvals.selectors.requests import usable_grant_of
from approvals.services.close import start
from approvals.services.decide import approve, reject
from approvals.services.execute import execute
from audit.events import AuditCode
from audit.lib import db_clock
from policies.models import User
from tests.admin.make import House, action_url, browser, inbox, page, state_of, text_of
from tests.admin.review import NOTHING_WRONG
from tests.approvals.executing import claimed
from tests.approvals.make import (
    PASSWORD,
    ROBOT,
    look_at,
    make_person,
    make_proof,
    make_request,
    refund,
    supply,
)
from tests.approvals.make import approve as agree
from tests.database import triggers_off

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def make_done(house: House) -> tuple[ActionRequest, Client]:
    """A CRM change that operations approved and the executor did."""
    oli = make_person("oli", "operations")
    request = make_request(
        house.agent, {"record": "acct_2001", "fields": {"stage": "won"}}, action_type="crm.update"
    )
    approve(request.pk, decider=oli, reviewed=look_at(request, oli))
    execute(request.pk)
    assert state_of(request) == "audited"
    return request, browser(oli)


def test_a_done_effect_offers_its_undo_which_is_a_request_of_its_own(house: House) -> None:
    request, client = make_done(house)
    assert action_url(request, "undo", "operations") in text_of(
        client.get(page(request, "operations"))
    )

    response = client.post(action_url(request, "undo", "operations"), {"reason": "Wrong customer."})

    undo = ActionRequest.objects.get(compensates=request)
    assert response.status_code == 302
    assert str(undo.pk) in response["Location"]
    assert undo.state == "pending_approval"
    again = text_of(client.get(page(request, "operations")))
    assert "An undo of this is on record" in again
    assert action_url(request, "undo", "operations") not in again


def test_a_supervised_action_is_started_and_signed_off_by_people(house: House) -> None:
    oli, other = make_person("oli", "operations"), make_person("odo", "operations")
    request = make_request(
        house.agent, {"robot": "robot-1", "task": "pick", "zone": "B"}, action_type="robot.run"
    )
    supply(request, make_person("hazel", "operations"))
    for one in (oli, house.mona):
        reviewed, proof = look_at(request, one), make_proof(one)
        approve(request.pk, decider=one, reviewed=reviewed, proof=proof, **NOTHING_WRONG)
    client = browser(other)
    assert "Start now" in text_of(client.get(page(request, "operations")))

    started = client.post(action_url(request, "start", "operations"), {"password": PASSWORD})
    execute(request.pk)

    assert started["Location"] == page(request, "operations")
    assert state_of(request) == "verified"
    signed = client.post(action_url(request, "sign_off", "operations"), {"note": "Watched it."})
    assert signed.status_code == 302
    assert state_of(request) == "audited"


def make_supervised(house: House) -> ActionRequest:
    """A robot's task that was approved and waits for whoever starts it."""
    oli = make_person("oli", "operations")
    request = make_request(house.agent, ROBOT, action_type="robot.run")
    supply(request, make_person("hazel", "operations"))
    agree(request, oli, house.mona)
    return request


def test_what_is_supervised_is_stopped_on_its_page_before_it_begins(house: House) -> None:
    request = make_supervised(house)
    client = browser(make_person("odo", "operations"))
    assert "Stop it now</button>" in text_of(client.get(page(request, "operations")))
    stop = action_url(request, "stop", "operations")

    unsaid = client.post(stop, {"reason": " "})
    answer = client.post(stop, {"reason": "Somebody is in zone B."}, follow=True)

    assert "Write why it has to stop" in text_of(unsaid)
    assert "Stopped before it began: nothing was done." in text_of(answer)
    assert state_of(request) == "withdrawn"


def test_what_runs_is_stopped_by_whoever_may_and_by_nobody_else(house: House) -> None:
    request = make_supervised(house)
    oli = User.objects.get(username="oli")
    start(request.pk, operator=oli, proof=make_proof(oli))
    claimed(request)
    client = browser(make_person("odo", "operations"))
    stop = action_url(request, "stop", "operations")
    assert "Stop it now</button>" in text_of(client.get(page(request, "operations")))

    assert browser(house.fred).post(stop, {"reason": "x"}).status_code == 404
    assert state_of(request) == "executing"
    answer = client.post(stop, {"reason": "Somebody is in zone B."}, follow=True)

    assert "Stopped: nothing more is sent." in text_of(answer)
    assert state_of(request) == "outcome_unknown"
    assert "Stop it now</button>" not in text_of(answer)


def test_what_nobody_watches_is_not_offered_a_stop(house: House) -> None:
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    agree(request, house.fred)

    assert "Stop it now" not in text_of(browser(house.fred).get(page(request)))


def test_an_incident_is_resolved_in_words(house: House) -> None:
    request = make_request(house.agent, refund("ch_1037", "150.00"))
    approve(request.pk, decider=house.fred, reviewed=look_at(request, house.fred), **NOTHING_WRONG)
    make_incident(ActionRequest.objects.get(pk=request.pk))
    client = browser(house.mona)
    text = text_of(client.get(f"{inbox('manager')}?show=incidents"))
    assert str(request.pk) in text

    resolve = action_url(request, "resolve", "manager")
    empty = client.post(resolve, {"applied": "no", "outcome": " "})
    vague = client.post(resolve, {"outcome": "Called the bank."})
    forged = client.post(resolve, {"applied": "maybe", "outcome": "Called the bank."})
    told = client.post(resolve, {"applied": "no", "outcome": "Called the bank."})

    assert [r.status_code for r in (empty, vague, forged)] == [422, 422, 422]
    assert "Say whether it happened." in text_of(vague)
    assert told["Location"] == page(request, "manager")
    assert state_of(request) == "resolved"


def make_incident(request: ActionRequest) -> None:
    """Move an approved request to where a worker that lost track leaves it."""
    grant = usable_grant_of(request)
    assert grant is not None
    grant.consumed_at = db_clock.now()
    with triggers_off():
        grant.save(update_fields=["consumed_at"])
    Execution.objects.create(
        request=request,
        grant=grant,
        state="unknown",
        provider_key=f"key-{request.pk}",
        started_at=db_clock.now(),
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
        reviewed=look_at(request_, house.fay),
        reason_code="duplicate",
        comment="<i>Refunded last week.</i>",
    )

    text = text_of(browser(house.fred).get(page(request_)))

    assert "fay rejected this on" in text
    assert "&lt;i&gt;Refunded last week." in text
