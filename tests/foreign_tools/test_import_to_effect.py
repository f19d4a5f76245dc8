"""From another server's list of tools to an effect there: at most one, whatever becomes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils.html import escape
from pytest_django.fixtures import Settings

from approvals.choices import State
from approvals.exceptions import EvidenceMissing, InvalidProposal
from approvals.models import ActionRequest, Agent, Attempt, Execution, Notice, WebhookDelivery
from approvals.selectors.agent_story import AgentStory
from approvals.selectors.outcomes import Outcome
from approvals.services import execute as executing
from approvals.services.execute import execute
from approvals.services.recover import recover
from approvals.services.sweep import sweep
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import canonical
from audit.selectors import events_of
from connectors.base import FOREIGN, Action, OutcomeUnknown
from connectors.catalogue import Proof
from connectors.registry import action_type, connector_for
from tests.admin.make import browser, page, text_of
from tests.agents.server import Told
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    make_agent,
    make_plan,
    make_request,
    publish,
)
from tests.approvals.webhooks import register, send_due, told_of
from tests.foreign_tools.published import Published
from tests.foreign_tools.server import INJECTION, TOKEN
from tests.peers.proxy import LOSSES

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")]

LAMP = {"title": "Lamp broken", "priority": 2}
RULES = """
  - id: desk
    owner: head of support
    reason: What the desk is told is looked at by a manager.
    on: [desk.create_ticket, desk.escalate]
    when:
      - action.execution == "mcp"
    effect: require_approval
    requirements:
      - {group: manager}
  - id: machine
"""

MATRIX = """
  - tier: 2
    action_type: desk.*
    evidence: [diff, tool_definition]
    operating_model: MODEL
  - tier: 3
    requirements: [{group: manager, within_limit: true}]
"""
TIER = '"order.correct", "shipment.reroute"'
ALLOWED = """
  - id: desk-itself
    owner: head of support
    reason: Tickets are opened without anybody.
    on: [desk.create_ticket]
    when:
      - params.title != ""
    effect: allow
  - id: machine
"""


def publish_for_ticket_tools(cast: Cast, rules: str, model: str = "in the loop") -> None:
    """A policy under which the desk's tools are of tier 2, and what tier 2 wants to see of them."""
    publish(
        cast,
        ("\n  - id: machine\n", rules),
        (TIER, f'{TIER}, "desk.create_ticket", "desk.escalate"'),
        (MATRIX[MATRIX.index("\n  - tier: 3") :], MATRIX.replace("MODEL", model)),
    )


@pytest.fixture
def agent(published: Published, cast: Cast) -> Agent:
    publish_for_ticket_tools(cast, RULES)
    kinds = ["desk.create_ticket", "desk.escalate", "desk.get_ticket"]
    return make_agent(cast.owner, "desk-bot", action_types=kinds)


def approved(
    agent: Agent, cast: Cast, key: str = "desk.create_ticket", **params: object
) -> ActionRequest:
    request = make_request(agent, params or LAMP, action_type=key)
    assert request.state == State.PENDING_APPROVAL
    approve(request, cast.mona)
    return request


def state_of(request: ActionRequest) -> str:
    return str(fresh(request).state)


def problem_of(request: ActionRequest) -> str:
    return str(Execution.objects.get(request=request).problem)


one_mode = pytest.mark.parametrize("published", ["modern, json"], indirect=True)
both_ages = pytest.mark.parametrize("published", ["modern, stream", "legacy, json"], indirect=True)


def test_a_tool_is_approved_called_once_and_never_verified(
    published: Published, agent: Agent, cast: Cast
) -> None:
    with published.through("") as proxy:
        request = approved(agent, cast)
        execute(request.pk)
        sweep()
        execute(request.pk)

    assert request.effect == (
        'Call tool create_ticket of The desk with title "Lamp broken", priority 2.'
    )
    assert published.desk.tickets == {"T-1": {**LAMP, "note": None}}
    assert (published.desk.effects, proxy.writes) == (["T-1"], 1)
    assert (state_of(request), problem_of(request)) == (State.EXECUTED, "")
    assert not Execution.objects.get().verifications.exists()
    story = AgentStory(fresh(request))
    assert (story.outcome, story.final) == (Outcome.DONE, True)
    assert story.message == "Done, as the tool says: verification is not available."
    assert "approved is now executed" in Notice.objects.filter(recipient=cast.mona).last().subject


@both_ages
@pytest.mark.parametrize("loss", LOSSES)
def test_a_server_that_acts_and_then_drops_the_connection_is_called_once_and_nobody_knows(
    published: Published,
    agent: Agent,
    cast: Cast,
    loss: str,
    settings: Settings,
) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=2)
    with published.through(loss) as proxy:
        request = approved(agent, cast)

        execute(request.pk)
        assert proxy.answered.wait(10)
        assert state_of(request) == State.OUTCOME_UNKNOWN
        for _ in range(3):
            Execution.objects.update(read_back_at=db_clock.now())
            recover(request.pk)
            execute(request.pk)
            sweep()

    assert published.desk.effects == ["T-1"]
    assert proxy.writes == 1
    assert state_of(request) == State.OUTCOME_UNKNOWN
    assert "no trustworthy answer came back" in problem_of(request)
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["unknown"]
    assert "Do NOT repeat it" in AgentStory(fresh(request)).message


@one_mode
def test_what_would_be_called_without_the_guard_is_called_twice(
    published: Published, agent: Agent, cast: Cast
) -> None:
    """The villain: a target that remembers our key may be called again, and this one does not."""
    with published.through("cut off"):
        connector = connector_for(action_type("desk.create_ticket"))
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                connector.execute(Action("desk.create_ticket", LAMP), idempotency_key="k")

    assert published.desk.effects == ["T-1", "T-2"]
    promise = action_type("desk.create_ticket").at_most_once
    assert (promise.proof, promise.may_repeat, promise.can_look_up) == (Proof.NONE, False, False)


@both_ages
def test_a_tool_that_was_defined_anew_since_is_not_called_and_goes_back_to_people(
    published: Published, agent: Agent, cast: Cast
) -> None:
    request = approved(agent, cast)
    published.desk.redefine("Opens a ticket, and deletes the others.")

    execute(request.pk)

    assert (state_of(request), fresh(request).version) == (State.PENDING_APPROVAL, 2)
    assert published.desk.effects == []
    (back,) = (e for e in events_of(request) if e.code == AuditCode.INVALIDATED)
    assert json.loads(back.data)["reason"] == "The target has changed since it was approved."
    with pytest.raises(EvidenceMissing, match="imported and reviewed again"):
        approve(fresh(request), cast.mona)

    published.import_again()
    again = approved(agent, cast)
    execute(again.pk)
    assert (state_of(again), published.desk.effects) == (State.EXECUTED, ["T-1"])


@one_mode
def test_a_tool_that_is_defined_anew_after_the_last_look_is_not_called(
    published: Published, agent: Agent, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = approved(agent, cast)
    claim = executing.claim_now

    def claim_and_redefine(*args: Any) -> object:
        found = claim(*args)
        published.desk.redefine("Opens a ticket, and deletes the others.")
        return found

    monkeypatch.setattr(executing, "claim_now", claim_and_redefine)
    execute(request.pk)

    assert (state_of(request), published.desk.effects) == (State.FAILED, [])
    assert problem_of(request).startswith("Nothing was sent.")


@one_mode
def test_a_tool_that_policy_allows_by_itself_goes_to_people_once_it_is_another(
    published: Published, cast: Cast
) -> None:
    publish_for_ticket_tools(cast, ALLOWED, "on the loop")
    agent = make_agent(cast.owner, "desk-bot", action_types=["desk.create_ticket"])
    request = make_request(agent, LAMP, action_type="desk.create_ticket")
    assert request.state == State.APPROVED
    published.desk.redefine("Opens a ticket, and deletes the others.")

    execute(request.pk)

    assert (state_of(request), published.desk.effects) == (State.PENDING_APPROVAL, [])


@both_ages
def test_an_error_of_the_tool_is_a_failure_by_its_word_and_tells_no_credential(
    published: Published, agent: Agent, cast: Cast
) -> None:
    with published.through("") as proxy:
        request = approved(agent, cast, "desk.escalate", number="T-9")
        execute(request.pk)
        sweep()

    assert (state_of(request), proxy.writes) == (State.FAILED, 1)
    assert "The desk says that its tool failed" in problem_of(request)
    assert TOKEN not in problem_of(request)
    assert "Nothing was done" not in AgentStory(fresh(request)).message


@both_ages
def test_with_a_tool_that_shows_the_effect_it_is_verified(
    published: Published, agent: Agent, cast: Cast
) -> None:
    published.read_back()
    request = approved(agent, cast)

    execute(request.pk)

    assert state_of(request) == State.AUDITED
    execution = Execution.objects.get()
    assert execution.receipt_reference == "T-1"
    assert execution.verifications.get().observed == '{"title":"Lamp broken"}'


@one_mode
def test_an_effect_that_is_not_there_is_an_incident(
    published: Published, agent: Agent, cast: Cast
) -> None:
    published.read_back()
    published.desk.tickets["T-1"] = {"title": "Lamp fixed"}
    published.desk.forgets = True
    request = approved(agent, cast)

    execute(request.pk)

    assert state_of(request) == State.VERIFICATION_FAILED


@one_mode
def test_what_no_rule_is_about_goes_to_people_at_the_highest_tier(
    published: Published, agent: Agent
) -> None:
    request = make_request(agent, {"number": "T-1"}, action_type="desk.get_ticket")

    assert (request.state, request.risk_tier) == (State.PENDING_APPROVAL, 5)


@one_mode
def test_the_servers_words_are_shown_as_somebody_elses_and_make_no_sentence_of_ours(
    published: Published, agent: Agent, cast: Cast
) -> None:
    request = make_request(agent, LAMP, action_type="desk.create_ticket")

    found = text_of(browser(cast.mona).get(page(request, "manager")))

    (item,) = request.evidence.all()
    assert (item.kind, item.authority) == ("tool_definition", FOREIGN)
    assert "injection" in item.flags
    assert "Said by the other system about itself, not checked" in found
    assert escape(INJECTION) in found.partition("data-foreign")[2].partition("</dl>")[0]
    assert "data-by-word" in found
    kind = action_type("desk.create_ticket")
    ours = canonical([kind.title, kind.undo, request.effect, kind.schema, request.target])
    assert "ignore all previous" not in ours


@one_mode
def test_a_server_that_is_away_is_not_called_and_loses_nothing(
    published: Published, agent: Agent, cast: Cast
) -> None:
    request = approved(agent, cast)
    published.connect("http://127.0.0.1:9/mcp")

    execute(request.pk)
    assert state_of(request) == State.APPROVED
    published.connect(published.address)
    execute(request.pk)

    assert (state_of(request), published.desk.effects) == (State.EXECUTED, ["T-1"])


@one_mode
def test_it_is_no_step_of_a_plan(published: Published, agent: Agent) -> None:
    with pytest.raises(InvalidProposal) as refused:
        make_plan(agent, ("desk.create_ticket", LAMP), ("desk.escalate", {"number": "T-1"}))

    fields = [one.field for one in refused.value.problems]
    assert fields == ["steps.0.action_type", "steps.1.action_type"]


@one_mode
def test_its_agent_is_told_by_webhook_that_it_is_done(
    published: Published, agent: Agent, cast: Cast, receiver: Told
) -> None:
    register(replace(cast, agent=agent), receiver)
    request = approved(agent, cast)

    execute(request.pk)
    send_due()

    deliveries = WebhookDelivery.objects.order_by("id").values_list("state", flat=True)
    assert list(deliveries) == ["approved", "executed"]
    assert told_of(receiver)[-1] == ("action.done", "executed")
