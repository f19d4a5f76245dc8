"""A system the installation does not have: its actions are not offered, all others work."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from approvals.models import ActionRequest
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import crm, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

MAIL = {"to": "ada@mail.example", "subject": "Your order", "body": "It is on its way."}


@pytest.fixture(autouse=True)
def _without_records(sandbox: Any, settings: Settings) -> None:
    """As RECORDS_URL= leaves it."""
    settings.CONNECTORS = {**sandbox.connectors, "records": {"url": ""}}


def test_its_action_types_are_not_offered(client: AgentClient) -> None:
    offered = [kind["key"] for kind in client.get("action-types/").json()["results"]]

    assert "email.send" in offered
    assert not [key for key in offered if key.startswith(("crm.", "order.", "draft."))]


@pytest.mark.parametrize("path", ["actions/", "actions/check/"])
def test_proposing_one_is_refused_like_a_type_nobody_registered(
    client: AgentClient, path: str
) -> None:
    of_records = client.post(path, a_proposal(crm(), action_type="crm.update"), key="a")
    of_nobody = client.post(path, a_proposal({}, action_type="moon.launch"), key="b")

    assert of_records.status_code == of_nobody.status_code == 422
    assert of_records.json() == of_nobody.json()
    assert of_records.json()["errors"][0]["field"] == "action_type"
    assert ActionRequest.objects.count() == 0


def test_a_mail_is_taken_in_although_no_customer_can_be_looked_up(client: AgentClient) -> None:
    answer = client.propose(a_proposal(MAIL, action_type="email.send"))

    assert answer.status_code == 201, answer.json()
    assert answer.json()["state"] == "pending_approval"
    assert answer.json()["risk_tier"] == 3
    assert client.propose(a_proposal(refund())).status_code == 201
