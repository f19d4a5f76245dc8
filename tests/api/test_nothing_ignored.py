"""What an agent sends is acted on or refused by name: nothing is taken and ignored."""

from __future__ import annotations

import pytest

from approvals.models import ActionRequest
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import refund


def fields_of(answer: object) -> list[str]:
    return [error["field"] for error in answer.json()["errors"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "path", ["actions/", "actions/00000000-0000-7000-8000-000000000000/", "action-types/"]
)
def test_an_unknown_parameter_is_refused_by_name(client: AgentClient, path: str) -> None:
    answer = client.get(path, stat="approved", limit="5")

    assert answer.status_code == 400
    assert sorted(fields_of(answer)) == ["limit", "stat"]


def test_what_only_one_call_takes_is_unknown_to_the_others(client: AgentClient) -> None:
    assert client.get("actions/", wait="3").status_code == 400
    assert client.post("actions/check/?state=approved", a_proposal()).status_code == 400
    assert client.get("actions/", state="approved", session="x").status_code == 200


def test_a_proposal_with_a_parameter_stores_nothing(client: AgentClient) -> None:
    answer = client.post("actions/?dry_run=1", a_proposal(), key="a")

    assert (answer.status_code, fields_of(answer)) == (400, ["dry_run"])
    assert not ActionRequest.objects.exists()


def test_nobody_is_called_back_at_an_address_nobody_registered(client: AgentClient) -> None:
    answer = client.propose(a_proposal(callback_url="https://evil.example/hook"))

    assert (answer.status_code, fields_of(answer)) == (422, ["callback_url"])
    assert not ActionRequest.objects.exists()


def test_every_bad_field_is_named_at_once(client: AgentClient) -> None:
    bad = a_proposal(refund(amount="1e3"), callback_url="https://evil.example/hook")

    answer = client.propose(bad)

    assert answer.status_code == 422
    assert {"callback_url", "params.amount"} <= set(fields_of(answer))
