"""Complaints over the API: who may report them, what is answered, and that the schema says so."""

from __future__ import annotations

import pytest

from approvals.models import ActionRequest, Agent, Complaint
from approvals.services import agents
from approvals.services.execute import execute
from connectors.sandbox.server import Sandbox
from tests.api.make import AgentClient, make_house_with_key
from tests.approvals.make import INSTALLER, make_agent, make_key, make_request, refund
from tests.approvals.story import codes

pytestmark = pytest.mark.django_db


@pytest.fixture
def own(sandbox: Sandbox) -> AgentClient:
    return AgentClient(make_house_with_key())


@pytest.fixture
def desk(own: AgentClient) -> AgentClient:
    """A help desk, which may report about every agent."""
    owner = Agent.objects.get().owner
    agent = make_agent(owner, "help-desk", action_types=[])
    agents.change_agent(
        agent.pk, actor=INSTALLER, owner=owner, team="support", model="", action_types=[],
        ceiling=agent.ceiling, reports_complaints=True,
    )  # fmt: skip
    return AgentClient(make_key(agent))


def executed() -> ActionRequest:
    request = make_request(Agent.objects.get(name="refund-bot"), refund("ch_1002", "20.00"))
    execute(request.pk)
    return request


def path(request: ActionRequest) -> str:
    return f"actions/{request.pk}/complaints/"


def test_a_complaint_is_answered_once_and_again_the_same(desk: AgentClient) -> None:
    request, said = executed(), {"reference": "T-4711", "text": "It was the wrong lamp."}

    first = desk.post(path(request), said)
    again = desk.post(path(request), said)

    body = first.json()
    assert (first.status_code, again.status_code) == (201, 200)
    assert (body["action"], body["reference"]) == (str(request.pk), "T-4711")
    assert again.json() == body
    assert again.headers["Idempotency-Replayed"] == "true"
    assert set(body) == {"id", "action", "reference", "created_at"}
    assert Complaint.objects.count() == 1
    assert codes(request)[-1] == "complaint.reported"


def test_the_same_reference_for_something_else_is_refused(desk: AgentClient) -> None:
    request = executed()
    desk.post(path(request), {"reference": "T-1", "text": "one"})

    answer = desk.post(path(request), {"reference": "T-1", "text": "another"})

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")


def test_whoever_does_not_report_complaints_finds_only_its_own(own: AgentClient) -> None:
    other = AgentClient(make_key(make_agent(Agent.objects.get().owner, "other-bot")))
    request = executed()

    assert other.post(path(request), {"reference": "T-1"}).status_code == 404
    assert own.post(path(request), {"reference": "T-1"}).status_code == 201


def test_what_was_not_carried_out_is_nothing_to_complain_about(desk: AgentClient) -> None:
    request = make_request(Agent.objects.get(name="refund-bot"), refund("ch_1001", "800.00"))

    answer = desk.post(path(request), {"reference": "T-1"})

    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert not Complaint.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reference"),
        ({"reference": ""}, "reference"),
        ({"reference": "a b"}, "reference"),
        ({"reference": "T\n1"}, "reference"),
        ({"reference": "x" * 101}, "reference"),
        ({"reference": 7}, "reference"),
        ({"reference": "T-1", "text": "x" * 2001}, "text"),
        ({"reference": "T-1", "text": 5}, "text"),
        ({"reference": "T-1", "approved": True}, "approved"),
    ],
)
def test_bad_input_is_named_and_nothing_is_stored(
    desk: AgentClient, body: dict[str, object], field: str
) -> None:
    answer = desk.post(path(executed()), body)

    found = answer.json()
    assert (answer.status_code, found["code"]) == (400, "invalid_request")
    assert [one["field"] for one in found["errors"]] == [field]
    assert not Complaint.objects.exists()


def test_the_schema_describes_it(own: AgentClient) -> None:
    schema = own._client.get("/api/v1/schema/", {"format": "json"}).json()

    described = schema["paths"]["/api/v1/actions/{request_id}/complaints/"]["post"]
    assert {"200", "201"} <= set(described["responses"])
