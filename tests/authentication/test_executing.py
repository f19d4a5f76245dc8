"""What is approved waits for a token, and is never an unknown outcome for the want of one."""

from __future__ import annotations

import pytest
from werkzeug.wrappers import Response

from approvals.choices import State
from approvals.models import Execution
from approvals.services.execute import execute
from audit.lib import db_clock
from connectors import registry
from connectors.models import ConnectionToken
from connectors.sandbox.server import Sandbox
from policies.services.ownership import OwnerRow, set_owners
from tests.approvals.make import (
    INSTALLER,
    approve,
    fresh,
    make_agent,
    make_cast,
    make_person,
    make_request,
    make_team,
    publish,
)
from tests.authentication.conftest import Start

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
  - id: machine
"""


@pytest.mark.django_db(transaction=True)
def test_a_token_service_that_is_down_holds_an_approved_request_until_it_is_back(
    sandbox: Sandbox, start: Start
) -> None:
    helpdesk, cast = start("body"), make_cast()
    tier = '"order.correct", "shipment.reroute"'
    tickets = '"ticket.close", "ticket.reopen"'
    publish(cast, ("\n  - id: machine\n", RULES), (tier, f"{tier}, {tickets}"))
    agent = make_agent(cast.owner, "desk-bot", action_types=["ticket.close", "ticket.reopen"])
    dina = make_person("dina")
    make_team("service-desk", dina)
    owned = OwnerRow("helpdesk", "ticket *", "service", team="service-desk")
    set_owners([owned], actor=INSTALLER, reason="test")
    params = {"ticket": "T-1", "answer": "We sent a new lamp."}
    request = make_request(agent, params, action_type="ticket.close")
    approve(request, dina)
    ConnectionToken.objects.update(expires_at=db_clock.now())
    registry._built.cache_clear()
    helpdesk.fails = Response("", status=503)

    execute(request.pk)

    assert fresh(request).state == State.APPROVED
    assert not Execution.objects.exists()  # no attempt was spent on it
    assert helpdesk.writes == 0
    helpdesk.fails = None
    execute(request.pk)
    assert fresh(request).state == State.EXECUTED
    assert (helpdesk.writes, len(helpdesk.applied)) == (1, 1)
