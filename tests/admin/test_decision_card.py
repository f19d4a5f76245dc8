"""The first screen of a case: who, how much, why; ticked by whoever approves the higher tiers."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from approvals.exceptions import FactsNotConfirmed
from approvals.models import ActionRequest, Decision
from approvals.selectors.review_snapshot import read_token
from approvals.services.decide import approve, reject
from approvals.services.execute import execute
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from tests.admin.make import House, action_url, browser, page, state_of, text_of
from tests.admin.review import NOTHING_WRONG, send
from tests.approvals.executing import plan
from tests.approvals.make import approve as agree
from tests.approvals.make import (
    crm,
    look_at,
    make_limit,
    make_person,
    make_request,
    refund,
    token_for,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

WHY = "The customer complained in the last 90 days."
TICK = 'name="confirmed" value="refund-complaints" form="approve-form"'


def test_it_is_one_sentence_with_the_name_the_system_read(
    house: House, request_: ActionRequest
) -> None:
    text = text_of(browser(house.fred).get(page(request_)))

    assert "Refund 150.00 EUR to Quentin Leroy, charge ch_1037</h2>" in text
    assert 'cs-exactly">Refund 150.00 EUR to the customer of charge ch_1037' in text
    assert ">Approve 150.00 EUR to Quentin Leroy</button>" in text


def test_what_has_no_amount_is_named_as_well(house: House) -> None:
    olive = make_person("olive", "operations")
    request = make_request(house.agent, crm("acct_2003"), action_type="crm.update")

    text = text_of(browser(olive).get(page(request, "operations")))

    assert "In the account of Clara Nowak, set stage to &quot;won&quot;.</h2>" in text
    assert ">Approve exactly this</button>" in text
    assert "form=&quot;approve-form&quot;" not in text
    assert 'name="confirmed"' not in text  # nothing is ticked on low tiers


def test_facts_that_made_the_rule_fire_stand_there_with_their_values(
    house: House, request_: ActionRequest
) -> None:
    text = text_of(browser(house.fred).get(page(request_)))

    assert TICK in text
    assert "Complaints of this customer in 90 days: <strong>3</strong>" in text


def test_nobody_approves_unticked_and_is_told_what_to_tick(
    house: House, request_: ActionRequest
) -> None:
    client = browser(house.fred)

    answer = send(client, request_, "approve", confirmed=[], **NOTHING_WRONG)

    assert answer.status_code == 422
    text = text_of(answer)
    assert "Tick what you have looked at before you approve" in text
    assert WHY in text
    assert state_of(request_) == "pending_approval"
    assert not Decision.objects.exists()


def test_an_invented_tick_counts_for_nothing(house: House, request_: ActionRequest) -> None:
    reviewed = read_token(token_for(request_, house.fred), ["something-else"])

    with pytest.raises(FactsNotConfirmed, match="complained"):
        approve(request_.pk, decider=house.fred, reviewed=reviewed, **NOTHING_WRONG)


def test_ticks_are_kept_with_the_decision_and_in_the_trail(
    house: House, request_: ActionRequest
) -> None:
    client = browser(house.fred)

    assert send(client, request_, "approve", **NOTHING_WRONG).status_code == 302

    decision = Decision.objects.get(request=request_)
    assert json.loads(decision.confirmed) == ["refund-complaints"]
    event = AuditEvent.objects.filter(code="decision.recorded").latest("seq")
    assert json.loads(event.data)["confirmed"] == ["refund-complaints"]


def test_saying_no_takes_no_ticks(house: House, request_: ActionRequest) -> None:
    reviewed = read_token(token_for(request_, house.fred))

    reject(request_.pk, decider=house.fred, reviewed=reviewed, reason_code="not_justified")

    assert state_of(request_) == "rejected"


def test_ticks_survive_an_answer_that_was_not_complete(
    house: House, request_: ActionRequest
) -> None:
    answer = send(browser(house.fred), request_, "approve", reason_code="")

    assert answer.status_code == 422
    assert f"{TICK} checked" in text_of(answer)


def test_whoever_may_not_approve_is_asked_to_tick_nothing(
    house: House, request_: ActionRequest
) -> None:
    finn = make_person("finn", "finance")
    make_limit(finn, "1.00")

    text = text_of(browser(finn).get(page(request_)))

    assert WHY in text
    assert 'name="confirmed"' not in text


def test_what_became_of_the_last_ones_of_that_customer(house: House) -> None:
    first = make_request(house.agent, refund("ch_1037", "20.00"))
    agree(first, house.fred)
    execute(first.pk)
    second = make_request(house.agent, refund("ch_1037", "30.00"))
    reviewed = look_at(second, house.fred)
    reject(second.pk, decider=house.fred, reviewed=reviewed, reason_code="not_justified")
    third = make_request(house.agent, refund("ch_1037", "40.00"))

    text = text_of(browser(house.fred).get(page(third)))

    before = text[text.index("data-past") :]
    before = before[: before.index("</ul>")]
    assert before.index("rejected") < before.index("audited")
    assert str(first.pk) in before
    assert str(second.pk) in before


def live(request: ActionRequest) -> str:
    return reverse("admin:inbox_target", args=["finance", request.pk])


def test_the_target_is_looked_at_while_the_page_is_read(
    house: House, request_: ActionRequest, sandbox: Sandbox
) -> None:
    client = browser(house.fred)
    assert f'data-look="{live(request_)}"' in text_of(client.get(page(request_)))
    same = text_of(client.get(live(request_), headers={"X-Requested-With": "fetch"}))

    other = make_request(house.agent, refund("ch_1037", "100.00"))
    agree(other, house.fred)
    execute(other.pk)
    gone = text_of(client.get(live(request_), headers={"X-Requested-With": "fetch"}))
    plan(sandbox, Fault(mode="error_500", method="GET"))
    silent = text_of(client.get(live(request_), headers={"X-Requested-With": "fetch"}))

    assert 'data-found="same"' in same
    assert "as shown here" in same
    assert "<html" not in same
    assert 'data-found="refused"' in gone
    assert "Only 92.99 EUR of charge ch_1037 is left to refund." in gone
    assert 'data-found="unreadable"' in silent
    assert state_of(request_) == "pending_approval"


def test_nobody_has_a_target_read_who_may_not_see_the_request(
    house: House, request_: ActionRequest
) -> None:
    assert browser(house.sam).get(live(request_)).status_code == 404
    assert browser(house.fred).post(live(request_)).status_code == 405
    agree(request_, house.fred)
    assert browser(house.fred).get(live(request_)).status_code == 404
    assert action_url(request_, "approve")
