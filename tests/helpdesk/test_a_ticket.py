"""From the proposal to the undo: a company's own action, with no line of Python for it."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils.html import escape
from pytest_django.fixtures import Settings

from approvals.choices import State
from approvals.models import ActionRequest, Agent, Execution
from approvals.services.execute import execute
from approvals.services.sweep import sweep
from approvals.services.undo import propose_undo
from audit.events import AuditCode
from audit.lib import db_clock
from audit.selectors import events_of
from policies.models import User
from policies.services.ownership import OwnerRow, set_owners
from tests.admin.make import browser, page, text_of
from tests.approvals.executing import taken_over
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve,
    fresh,
    make_agent,
    make_person,
    make_request,
    make_team,
    publish,
)
from tests.helpdesk.double import TEXT, Helpdesk

TYPES = ["ticket.close", "ticket.reopen", "ticket.announce"]
CLOSE = {"ticket": "T-1", "answer": "We sent a new lamp."}
RULES = """
  - id: ticket
    owner: head of support
    reason: What customers are told about their tickets is looked at by a person.
    on: [ticket.close, ticket.reopen]
    when:
      - params.ticket != ""
    effect: require_approval
    requirements:
      - {group: "owner:service"}
  - id: ticket-urgent
    owner: head of support
    reason: The customer said that it is urgent.
    on: [ticket.close]
    when:
      - target.priority == "urgent"
    effect: require_approval
    adds:
      - {group: security}
  - id: machine
"""


@pytest.fixture
def agent(ticketing: Helpdesk, cast: Cast) -> Agent:
    tier = '"order.correct", "shipment.reroute"'
    publish(
        cast,
        ("\n  - id: machine\n", RULES),
        (tier, f'{tier}, "ticket.close", "ticket.reopen"'),
    )
    return make_agent(cast.owner, "desk-bot", action_types=TYPES)


@pytest.fixture
def dina(cast: Cast) -> User:
    """She is on the service ticketing, a team of this company, which owns every ticket."""
    found = make_person("dina")
    make_team("service-desk", found)
    owned = OwnerRow("helpdesk", "ticket *", "service", team="service-desk")
    set_owners([owned], actor=INSTALLER, reason="test")
    return found


def close(agent: Agent, **params: str) -> ActionRequest:
    return make_request(agent, {**CLOSE, **params}, action_type="ticket.close")


def groups(request: ActionRequest) -> list[str]:
    return sorted(request.requirements.filter(is_open=True).values_list("group", flat=True))


def test_a_ticket_is_closed_by_a_person_read_back_and_opened_again(
    ticketing: Helpdesk, dina: User, agent: Agent
) -> None:
    request = close(agent)
    assert request.effect == 'Close ticket T-1 with the answer "We sent a new lamp.".'
    assert groups(request) == ["service-desk"]

    approve(request, dina)
    execute(request.pk)
    assert fresh(request).state == State.EXECUTED  # it is given its second to settle
    sweep()
    assert fresh(request).state == State.EXECUTED
    time.sleep(1.1)
    sweep()
    assert fresh(request).state == State.AUDITED
    undo = propose_undo(request.pk).request
    approve(undo, dina)
    execute(undo.pk)

    assert fresh(request).state == State.COMPENSATED
    assert [effect["kind"] for effect in ticketing.applied] == ["ticket.closed", "ticket.open"]
    assert ticketing.applied[0]["detail"]["mark"] == request.executions.get().provider_key


def test_reviewers_read_the_name_first_and_what_exactly_is_done_beside_it(
    ticketing: Helpdesk, dina: User, agent: Agent
) -> None:
    ticketing.change_ticket("T-1", subject='Lamp broken" and refund 900.00 EUR')

    found = text_of(browser(dina).get(page(close(agent), "service-desk")))

    named = 'Close "Lamp broken\' and refund 900.00 EUR" with the answer "We sent a new lamp.".'
    exact = 'Close ticket T-1 with the answer "We sent a new lamp.".'
    assert f'<h2 class="cs-effect">{escape(named)}</h2>' in found
    assert f'<p class="cs-exactly">{escape(exact)}</p>' in found


def test_a_name_the_system_does_not_tell_costs_no_preview(
    ticketing: Helpdesk, dina: User, agent: Agent
) -> None:
    ticketing.change_ticket("T-1", subject=None)

    request = close(agent)

    reading = request.readings.get()
    assert (reading.sentence, reading.unavailable) == (request.effect, "")
    assert reading.before == '{"status":"open"}'


def test_a_fact_of_the_operation_decides_who_is_asked(
    ticketing: Helpdesk, dina: User, agent: Agent
) -> None:
    assert groups(close(agent, ticket="T-2")) == ["security", "service-desk"]


def test_what_no_rule_is_about_goes_to_people_at_the_highest_tier(
    ticketing: Helpdesk, dina: User, agent: Agent
) -> None:
    request = make_request(agent, {"text": "Lamps are late."}, action_type="ticket.announce")

    assert (request.state, request.risk_tier) == (State.PENDING_APPROVAL, 5)


def test_a_target_that_moved_after_the_approval_is_sent_back(
    ticketing: Helpdesk, dina: User, agent: Agent
) -> None:
    request = close(agent)
    approve(request, dina)
    # the state shown is the same
    ticketing.change_ticket("T-1", subject="Two lamps arrived broken")

    execute(request.pk)

    assert fresh(request).state == State.PENDING_APPROVAL
    assert ticketing.applied == []


def test_a_target_that_moves_between_the_last_look_and_the_write_refuses_it(
    ticketing: Helpdesk, dina: User, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from approvals.services import execute as executing

    request = close(agent)
    approve(request, dina)
    claim = executing.claim_now

    def claim_and_move(*args: object) -> object:
        found = claim(*args)  # type: ignore[arg-type]
        ticketing.change_ticket("T-1", status="open")
        return found

    monkeypatch.setattr(executing, "claim_now", claim_and_move)
    execute(request.pk)

    assert fresh(request).state == State.FAILED
    assert ticketing.applied == []


def test_a_file_changed_after_the_approval_sends_the_request_back_and_says_why(
    ticketing: Helpdesk, dina: User, agent: Agent, settings: Settings, tmp_path: Path
) -> None:
    request = close(agent)
    approve(request, dina)
    folder = tmp_path / "changed"
    folder.mkdir()
    body = '{"status": "closed", "answer": params.answer, "mark": key}'
    assert body in TEXT
    quieter = '{"status": "closed", "answer": "", "mark": key}'
    (folder / "helpdesk.yaml").write_text(TEXT.replace(body, quieter, 1))
    settings.SYSTEMS_PATH = (str(folder),)

    execute(request.pk)

    assert fresh(request).state == State.PENDING_APPROVAL
    assert fresh(request).version == 2
    assert ticketing.applied == []
    (sent_back,) = (e for e in events_of(request) if e.code == AuditCode.INVALIDATED)
    assert "ticket.close is carried out was changed" in json.loads(sent_back.data)["reason"]
    grant = request.grants.get()
    assert grant.revoked_at is not None
    approve(fresh(request), dina)
    execute(request.pk)
    assert ticketing.applied[0]["detail"]["answer"] == {"change": "chg-1"}


def test_a_busy_target_is_left_alone_as_long_as_it_asked(
    ticketing: Helpdesk, dina: User, agent: Agent
) -> None:
    request = close(agent)
    approve(request, dina)
    ticketing.busy_for = 600

    execute(request.pk)

    execution = Execution.objects.get(request=request)
    assert execution.lease_until is not None
    assert execution.lease_until > db_clock.now() + timedelta(minutes=9)
    assert ticketing.applied == []


def test_a_lost_answer_is_looked_up_by_its_mark_and_the_ticket_closed_once(
    ticketing: Helpdesk, dina: User, agent: Agent
) -> None:
    request = close(agent)
    approve(request, dina)
    ticketing.plan("apply_then_reset")

    execute(request.pk)
    taken_over(request)
    time.sleep(1.1)
    sweep()

    assert fresh(request).state == State.AUDITED
    assert (len(ticketing.applied), ticketing.writes) == (1, 1)
