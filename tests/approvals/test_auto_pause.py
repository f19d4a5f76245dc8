"""A rejection teaches: the same again is denied with what was said; who never learns is paused."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db.models import F

from approvals.exceptions import Paused
from approvals.models import ActionRequest, Agent, Decision, Notice
from approvals.services import agents, decide
from audit.actors import Actor
from audit.models import AuditEvent
from connectors.sandbox.server import Sandbox
from tests.api.make import AgentClient, a_proposal
from tests.approvals.counting import let_pass
from tests.approvals.make import (
    Cast,
    fresh,
    look_at,
    make_agent,
    make_key,
    make_request,
    manager_refund,
    reject,
)
from tests.database import triggers_off

WORDS = "Ask the carrier first: they lost it, they pay."


def make_rejection(cast: Cast, amount: str = "800.00") -> ActionRequest:
    """A refund Mona said no to, with a reason and a sentence."""
    request = make_request(cast.agent, manager_refund(amount))
    decide.reject(
        request.pk,
        decider=cast.mona,
        reviewed=look_at(request, cast.mona),
        reason_code="not_justified",
        comment=WORDS,
    )
    return request


def pauses(agent: Agent) -> int:
    return AuditEvent.objects.filter(code="agent.paused", subject_id=str(agent.pk)).count()


def test_the_same_again_is_denied_and_the_answer_teaches(cast: Cast) -> None:
    make_rejection(cast)
    client = AgentClient(make_key(cast.agent))

    body = client.propose(a_proposal(manager_refund("800.00")), key="again").json()

    said = {rule["rule"]: rule["reason"] for rule in body["policy"]["matched"]}
    assert (body["state"], body["verdict"]) == ("denied", "deny")
    assert "reject-loop" in said
    assert "not_justified" in said["earlier-rejection"]
    assert WORDS in said["earlier-rejection"]


def test_the_words_stay_out_of_the_trail(cast: Cast) -> None:
    make_rejection(cast)

    again = make_request(cast.agent, manager_refund("800.00"))

    events = AuditEvent.objects.filter(subject_id=str(again.pk))
    assert again.state == "denied"
    assert not any(WORDS in event.data for event in events)


def test_another_agent_learns_the_code_and_not_the_words(cast: Cast) -> None:
    make_rejection(cast)

    again = make_request(make_agent(cast.owner, "second-bot"), manager_refund("800.00"))

    trace = json.loads(again.policy_decisions.latest("id").trace)
    rejection_note = next(r["reason"] for r in trace["rules"] if r["rule"] == "earlier-rejection")
    assert again.state == "denied"
    assert "not_justified" in rejection_note
    assert WORDS not in rejection_note


def test_what_was_corrected_is_looked_at(cast: Cast) -> None:
    make_rejection(cast)

    corrected = make_request(cast.agent, manager_refund("700.00"))

    assert corrected.state == "pending_approval"


def test_after_a_day_a_person_looks_again(cast: Cast) -> None:
    earlier = make_rejection(cast)
    with triggers_off():
        Decision.objects.filter(request=earlier).update(
            created_at=F("created_at") - timedelta(hours=25)
        )

    again = make_request(cast.agent, manager_refund("800.00"))

    assert again.state == "pending_approval"


def test_the_third_no_pauses_the_agent_once_and_its_owner_learns(cast: Cast) -> None:
    make_rejection(cast)
    second = make_request(cast.agent, manager_refund("800.00"))
    assert not Agent.objects.get(pk=cast.agent.pk).is_paused

    third = make_request(cast.agent, manager_refund("800.00"))

    paused = Agent.objects.get(pk=cast.agent.pk)
    assert [second.state, third.state] == ["denied", "denied"]
    assert (paused.is_paused, pauses(cast.agent)) == (True, 1)
    assert "3 times" in paused.pause_reason
    assert Notice.objects.filter(request=third, recipient=cast.owner, subject__contains="paused")
    with pytest.raises(Paused):
        make_request(paused, manager_refund("800.00"))
    assert pauses(cast.agent) == 1


def test_three_noes_of_people_pause_it_too(cast: Cast) -> None:
    for reason in ("broken", "late", "lost"):
        request = make_request(cast.agent, {**manager_refund("800.00"), "reason": reason})
        reject(request, cast.mona)

    assert Agent.objects.get(pk=cast.agent.pk).is_paused
    assert pauses(cast.agent) == 1


def test_noes_to_different_things_or_to_different_agents_pause_nobody(cast: Cast) -> None:
    second = make_agent(cast.owner, "second-bot")
    for amount in ("600.00", "700.00", "800.00"):
        make_rejection(cast, amount)
    make_request(second, manager_refund("800.00"))
    make_request(second, manager_refund("800.00"))

    assert not Agent.objects.filter(paused_at__isnull=False).exists()


def test_a_resumed_agent_starts_over(cast: Cast) -> None:
    make_rejection(cast)
    for _ in range(2):
        make_request(cast.agent, manager_refund("800.00"))
    agents.resume_agent(cast.agent.pk, actor=Actor.human(cast.ada))
    agent = Agent.objects.get(pk=cast.agent.pk)

    states = [make_request(agent, manager_refund("800.00")).state for _ in range(2)]

    assert states == ["denied", "denied"]
    assert not Agent.objects.get(pk=agent.pk).is_paused
    make_request(agent, manager_refund("800.00"))
    assert Agent.objects.get(pk=agent.pk).is_paused
    assert pauses(agent) == 2


def test_noes_of_yesterday_are_forgotten(cast: Cast, sandbox: Sandbox) -> None:
    make_rejection(cast)
    make_request(cast.agent, manager_refund("800.00"))
    let_pass(timedelta(hours=25))

    third = make_request(cast.agent, manager_refund("800.00"))

    assert fresh(third).state == "denied"  # decisions keep their hour, so the reject-loop holds
    assert not Agent.objects.get(pk=cast.agent.pk).is_paused
