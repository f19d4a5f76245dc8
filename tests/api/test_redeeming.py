"""Redeeming and reporting over the API, and every code with which either is refused."""

from __future__ import annotations

from typing import Any

import pytest

from approvals.models import ActionRequest, Agent
from tests.api.make import AgentClient
from tests.approvals.agents_own import (
    COMMAND,
    approved_command,
    lease_over,
    make_coder,
    make_command,
)
from tests.approvals.conftest import coder
from tests.approvals.make import Cast, approve, fresh, make_cast, make_crm, make_key

__all__ = ["coder"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def cast(sandbox: Any) -> Cast:
    return make_cast()


@pytest.fixture
def speaking(coder: Agent) -> AgentClient:
    """As that agent."""
    return AgentClient(make_key(coder))


def redeem(client: AgentClient, request: ActionRequest, redeemer: Any = "run-1") -> Any:
    return client.post(f"actions/{request.pk}/redeem/", {"redeemer": redeemer})


def report(client: AgentClient, request: ActionRequest, **said: Any) -> Any:
    body = {"fence": 1, "outcome": "done", "receipt": "build-4711", **said}
    return client.post(f"actions/{request.pk}/report/", body)


def told(answer: Any) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_an_agent_redeems_carries_out_and_reports(
    cast: Cast, coder: Agent, speaking: AgentClient
) -> None:
    request = make_command(coder)
    pending = speaking.get(f"actions/{request.pk}/").json()
    approve(request, cast.sara, cast.otto)
    approved = speaking.get(f"actions/{request.pk}/").json()

    answer = redeem(speaking, request)
    again = redeem(speaking, request)
    done = report(speaking, request, result_digest=f"sha256:{'0a' * 32}")

    assert (pending["risk_tier"], pending["carried_out_by"]) == (4, "agent")
    assert "one risk tier higher" in pending["message"]
    assert (approved["outcome"], approved["final"]) == ("needs_agent", False)
    grant = answer.json()["grant"]
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert sorted(grant) == ["digest", "fence", "id", "not_after", "params"]
    assert (grant["params"], grant["fence"], grant["digest"]) == (COMMAND, 1, request.digest)
    assert again.json() == answer.json()
    story = done.json()
    assert (done.status_code, story["state"], story["outcome"]) == (200, "executed", "done")
    assert (story["final"], story["poll_after"]) == (True, None)
    assert story["execution"] == {
        "state": "succeeded",
        "receipt": "build-4711",
        "verified": None,
        "problem": None,
    }
    assert story["message"].startswith("Reported by the agent, not verified")
    assert speaking.get(f"actions/{request.pk}/", wait="5").json() == story


def test_the_list_of_action_types_says_who_carries_it_out(speaking: AgentClient) -> None:
    (kind,) = speaking.get("action-types/").json()["results"]

    assert (kind["key"], kind["execution"]) == ("command.run", "agent")


def test_who_did_not_propose_it_finds_nothing(cast: Cast, coder: Agent) -> None:
    request = approved_command(cast, coder)
    other = AgentClient(make_key(make_coder(cast, "other")))

    assert told(redeem(other, request)) == (404, "not_found")
    assert told(report(other, request)) == (404, "not_found")
    assert fresh(request).state == "approved"


def test_every_refusal_has_its_code(cast: Cast, coder: Agent, speaking: AgentClient) -> None:
    waiting = make_command(coder, directory="/srv/one")
    assert told(redeem(speaking, waiting)) == (409, "not_approved")
    assert told(report(speaking, waiting)) == (409, "not_redeemed")

    request = approved_command(cast, coder)
    assert redeem(speaking, request).status_code == 200
    assert told(redeem(speaking, request, "run-2")) == (409, "grant_consumed")
    assert told(report(speaking, request, fence=2)) == (409, "wrong_fence")
    lease_over(request)
    assert told(report(speaking, request)) == (409, "late_report")
    assert told(redeem(speaking, request)) == (409, "grant_consumed")

    ours = make_crm(cast)
    owner = AgentClient(make_key(cast.agent))
    assert told(redeem(owner, ours)) == (409, "executed_by_countersign")


@pytest.mark.parametrize("redeemer", ["", "two words", "x" * 101, 7, None, "\u00e9"])
def test_a_redeemer_is_plain_text(
    cast: Cast, coder: Agent, speaking: AgentClient, redeemer: Any
) -> None:
    request = approved_command(cast, coder)

    answer = redeem(speaking, request, redeemer)

    assert told(answer) == (400, "invalid_request")
    assert [one["field"] for one in answer.json()["errors"]] == ["redeemer"]
    assert fresh(request).state == "approved"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"fence": -1}, "fence"),
        ({"fence": 2**40}, "fence"),
        ({"outcome": "verified"}, "outcome"),
        ({"receipt": ""}, "receipt"),
        ({"receipt": "Approved by the CFO."}, "receipt"),
        ({"receipt": "r" * 201}, "receipt"),
        ({"result_digest": "sha256:abc"}, "result_digest"),
        ({"verified": True}, "verified"),
    ],
)
def test_a_report_says_no_more_than_it_may(
    cast: Cast, coder: Agent, speaking: AgentClient, said: dict[str, Any], field: str
) -> None:
    request = approved_command(cast, coder)
    redeem(speaking, request)

    answer = report(speaking, request, **said)

    assert told(answer) == (400, "invalid_request")
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert fresh(request).state == "executing"
