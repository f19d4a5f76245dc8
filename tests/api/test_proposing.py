"""Proposing over HTTP: what is answered, what is stored, what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from approvals.models import ActionRequest, Agent, RequestContent
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import half_open, make_agent, make_key, make_person, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def test_a_proposal_answers_with_everything_the_agent_needs(client: AgentClient) -> None:
    answer = client.propose(a_proposal(refund("ch_1001", "800.00")))

    body = answer.json()
    assert answer.status_code == 201, body
    assert body["state"] == "pending_approval"
    assert body["risk_tier"] == 3
    assert body["verdict"] == "require_approval"
    assert body["requirements"] == [
        {
            **{"group": "manager", "quorum": 1, "minimum": "800.00 EUR", "met": False},
            **{"stage": 1, "alternatives": [], "escalated_to": None, "alarm": None},
        }
    ]
    assert body["policy"]["matched"]
    assert body["decide_by"].endswith("Z")
    assert body["status_url"].endswith(f"/api/v1/actions/{body['id']}/")
    assert body["review_url"].endswith(f"/review/{body['id']}/")
    assert answer.headers["Location"] == body["status_url"]


def test_the_same_key_and_body_answers_the_first_request(client: AgentClient) -> None:
    first = client.propose(key="once")
    again = client.propose(key="once")

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    assert ActionRequest.objects.count() == 1


def test_a_proposal_still_being_taken_in_says_when_to_try_again(client: AgentClient) -> None:
    """Its web process died between storing it and carrying it on."""
    half_open(SimpleNamespace(agent=Agent.objects.get()))  # type: ignore[arg-type]

    answer = client.propose(a_proposal(), key="crashed")

    assert answer.status_code == 409
    assert answer.json()["code"] == "in_progress"
    assert 1 <= int(answer["Retry-After"]) <= 30


def test_key_order_and_spacing_make_no_other_body(client: AgentClient) -> None:
    body = a_proposal()
    first = client.propose(body, key="once")
    again = client.propose(dict(reversed(body.items())), key="once")

    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]


def test_the_same_key_with_another_body_is_a_mismatch(client: AgentClient) -> None:
    client.propose(key="once")
    other = client.propose(a_proposal(refund(amount="181.00")), key="once")

    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_mismatch"
    assert ActionRequest.objects.count() == 1


def test_a_key_of_another_agent_is_another_key(client: AgentClient) -> None:
    other = AgentClient(make_key(make_agent(make_person("otto", "agent owner"), "other-bot")))

    first, second = client.propose(key="once"), other.propose(key="once")

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


def test_without_a_key_nothing_is_stored(client: AgentClient) -> None:
    answer = client.post("actions/", a_proposal())

    assert answer.status_code == 400
    assert answer.json()["code"] == "idempotency_key_missing"
    assert not ActionRequest.objects.exists()


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer x", "Basic abc", "Bearer csk_a_b", "Bearer csk_\x00_b"]
)
def test_without_a_valid_key_there_is_nothing(client: AgentClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = Client(raise_request_exception=False).get("/api/v1/actions/", headers=headers)

    assert answer.status_code == 401
    assert answer.json()["code"] == "not_authenticated"
    assert "WWW-Authenticate" in answer.headers


def test_a_persons_session_means_nothing_to_the_api(client: AgentClient) -> None:
    person = Client()
    person.force_login(make_person("max", "manager"))

    answer = person.get("/api/v1/actions/")

    assert answer.status_code == 401


def test_an_action_type_the_agent_was_not_given_is_refused(client: AgentClient) -> None:
    narrow = make_agent(make_person("otto", "agent owner"), "mail-bot", action_types=["email.send"])
    answer = AgentClient(make_key(narrow)).propose()

    assert answer.status_code == 403
    assert answer.json()["code"] == "action_not_allowed"
    assert not ActionRequest.objects.exists()


def test_check_stores_nothing_and_says_what_would_happen(client: AgentClient) -> None:
    answer = client.post("actions/check/", a_proposal(refund("ch_1001", "800.00")))

    body = answer.json()
    assert answer.status_code == 200, body
    assert (body["verdict"], body["risk_tier"]) == ("require_approval", 3)
    assert body["requirements"][0]["group"] == "manager"
    assert any(rule["clauses"] for rule in body["trace"])
    assert not ActionRequest.objects.exists()
    assert not RequestContent.objects.exists()


def test_a_preflight_answers_what_the_schema_says(client: AgentClient) -> None:
    schema = Client().get("/api/v1/schema/?format=json").json()["components"]["schemas"]

    body = client.post("actions/check/", a_proposal(refund("ch_1001", "800.00"))).json()

    assert body.keys() == schema["Foreseen"]["properties"].keys()
    assert body["preview"].keys() == schema["Preview"]["properties"].keys()
    assert body["evidence"].keys() == schema["ForeseenEvidence"]["properties"].keys()
    assert body["requirements"][0].keys() == schema["ForeseenRequirement"]["properties"].keys()
    matched = schema["ForeseenMatchedRule"]["properties"].keys()
    assert body["policy"]["matched"][0].keys() == matched == {"rule", "reason", "effect"}


def test_another_agents_request_does_not_exist(client: AgentClient) -> None:
    mine = client.propose().json()["id"]
    other = AgentClient(make_key(make_agent(make_person("otto", "agent owner"), "other-bot")))

    answers = [
        other.get(f"actions/{mine}/"),
        other.post(f"actions/{mine}/withdraw/", {}),
        other.post(f"actions/{mine}/answer/", {"answer": "x"}),
        other.post(f"actions/{mine}/undo/", {}),
    ]

    assert [a.status_code for a in answers] == [404] * 4
    assert other.get("actions/").json()["results"] == []


def test_lists_are_filtered_and_paged_without_a_query_per_row(
    client: AgentClient, django_assert_max_num_queries: Any
) -> None:
    for number in range(6):
        client.propose(a_proposal(refund(f"ch_10{10 + number}", "900.00")))

    with django_assert_max_num_queries(10):
        answer = client.get("actions/", state="pending_approval")

    assert len(answer.json()["results"]) == 6
    assert client.get("actions/", state="executed").json()["results"] == []
    assert client.get("actions/", state="nonsense").status_code == 400


def test_withdrawing_is_its_own_ending(client: AgentClient) -> None:
    found = client.propose(a_proposal(refund("ch_1001", "800.00"))).json()

    first = client.post(f"actions/{found['id']}/withdraw/", {"reason": "customer called"})
    again = client.post(f"actions/{found['id']}/withdraw/", {})

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["state"] == "withdrawn"


def test_the_schema_is_openapi_and_its_page_is_served(client: AgentClient) -> None:
    schema = Client().get("/api/v1/schema/?format=json")
    page = Client().get("/api/v1/docs/")

    assert schema.json()["openapi"].startswith("3.1")
    assert "/api/v1/actions/" in schema.json()["paths"]
    assert page.status_code == 200
    assert b"cdn." not in page.content


def test_action_types_come_with_their_schemas(client: AgentClient) -> None:
    results = client.get("action-types/").json()["results"]

    refunds = next(r for r in results if r["key"] == "refund.issue")
    assert refunds["schema"]["additionalProperties"] is False
    assert refunds["reversibility"] == "irreversible"


def test_an_irreversible_action_says_so_when_undoing_is_asked_for(client: AgentClient) -> None:
    found = client.propose().json()

    answer = client.post(f"actions/{found['id']}/undo/", {})

    assert answer.status_code == 409
    assert answer.json()["code"] in ("wrong_state", "not_reversible")


@pytest.mark.parametrize("wait", ["soon", "-1", "1.5", "99999", "３"])
def test_a_bad_wait_is_named(client: AgentClient, wait: str) -> None:
    found = client.propose(a_proposal(refund("ch_1001", "800.00"))).json()

    assert client.get(f"actions/{found['id']}/", wait=wait).status_code == 400
