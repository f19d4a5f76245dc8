"""Whoever finds what is wrong with a proposal: it is told at once, each with its path."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from approvals.models import ActionRequest, Agent
from approvals.services import agents
from approvals.services.execute import execute
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import INSTALLER, make_agent, make_key, make_person, refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

PATHS = ["actions/", "actions/check/"]
PAST = "2001-01-01T00:00:00Z"
STRANGE = "https://evil.example/hook"
NOBODYS = "00000000-0000-0000-0000-000000000000"


def answer_of(client: AgentClient, path: str, body: Any) -> tuple[int, str, list[str]]:
    """Status, code and the paths of the errors; a wrong proposal is never stored."""
    answer = client.post(path, body, key="k")

    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json", problem
    assert problem.keys() == {"type", "title", "status", "code", "detail", "errors"}
    assert all(error.keys() == {"field", "message"} for error in problem["errors"])
    assert not ActionRequest.objects.exists()
    return answer.status_code, problem["code"], [error["field"] for error in problem["errors"]]


@pytest.mark.parametrize("path", PATHS)
def test_every_stage_tells_what_it_finds_in_one_answer_in_the_order_sent(
    client: AgentClient, path: str
) -> None:
    body = {
        "decide_by": PAST,
        "surprise": 1,
        "evidence": [
            {"kind": "mail", "title": "t"},
            {"kind": "mail", "title": "t", "uri": "file:///etc/passwd"},
        ],
        "action_type": "refund.issue",
        "supersedes": NOBODYS,
        "params": {"more": 1, **refund(amount="1.5"), "reason": 7},
        "callback_url": STRANGE,
    }

    found = answer_of(client, path, body)

    assert found == (
        422,
        "invalid_proposal",
        [
            "decide_by",
            "surprise",
            "evidence.1.uri",
            "supersedes",
            "params.more",
            "params.amount",
            "params.reason",
            "callback_url",
            "intent",
        ],
    )


@pytest.mark.parametrize("path", PATHS)
def test_what_is_corrected_as_told_is_taken_in(client: AgentClient, path: str) -> None:
    wrong = a_proposal(refund(amount="1e3"), confidence=2, decide_by=PAST, callback_url=STRANGE)

    assert answer_of(client, path, wrong)[2] == [
        "params.amount", "confidence", "decide_by", "callback_url",
    ]  # fmt: skip
    assert client.post(path, a_proposal(), key="k").status_code in (200, 201)


@pytest.mark.parametrize("path", PATHS)
def test_where_only_the_shape_is_wrong_it_stays_a_400(client: AgentClient, path: str) -> None:
    body = {"confidence": 2, **a_proposal(), "on_behalf_of": "Mona Manager", "intent": ""}

    assert answer_of(client, path, body) == (
        400,
        "invalid_request",
        ["confidence", "intent", "on_behalf_of"],
    )


MALFORMED: list[tuple[str, Any]] = [
    ("action_type", "../../etc"), ("action_type", None), ("action_type", 5), ("params", []),
    ("params", None), ("params", "x"), ("decide_by", "soon"), ("decide_by", 7),
    ("supersedes", "x"), ("supersedes", {}), ("callback_url", "javascript:alert(1)"),
    ("callback_url", 9), ("callback_url", "https://" + "x" * 600),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("field", "value"), MALFORMED)
def test_what_cannot_be_read_is_told_once_and_by_nobody_else(
    client: AgentClient, path: str, field: str, value: object
) -> None:
    status, code, fields = answer_of(client, path, {**a_proposal(), field: value})

    assert (status, code) == (400, "invalid_request")
    assert set(fields) == {field}


@pytest.mark.parametrize(("field", "value"), MALFORMED)
def test_what_cannot_be_read_keeps_nothing_else_from_being_told(
    client: AgentClient, field: str, value: object
) -> None:
    wrong = a_proposal(
        refund(amount="1.5"), decide_by=PAST, callback_url=STRANGE, supersedes=NOBODYS
    )

    _, _, fields = answer_of(client, "actions/check/", {**wrong, field: value})

    others = {"params.amount", "decide_by", "callback_url", "supersedes"} - {field}
    unread = {"params.amount"} if field in ("action_type", "params") else set()
    assert set(fields) == (others - unread) | {field}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("missing", ["action_type", "params"])
def test_what_is_missing_keeps_nothing_else_from_being_told(
    client: AgentClient, path: str, missing: str
) -> None:
    body = a_proposal(refund(amount="1.5"), decide_by=PAST, callback_url=STRANGE)
    del body[missing]  # type: ignore[attr-defined]

    assert answer_of(client, path, body)[2] == ["decide_by", "callback_url", missing]


@pytest.mark.parametrize("path", PATHS)
def test_params_of_an_unknown_type_are_not_judged_and_the_rest_is(
    client: AgentClient, path: str
) -> None:
    body = a_proposal({"x": 1}, callback_url=STRANGE, decide_by=PAST)
    body = {**body, "action_type": "moon.launch"}

    told = ["action_type", "callback_url", "decide_by"]
    assert answer_of(client, path, body) == (422, "invalid_proposal", told)
    assert answer_of(client, path, {**body, "intent": 5})[2] == ["action_type", "intent", *told[1:]]


@pytest.mark.parametrize("path", PATHS)
def test_what_an_agent_may_not_propose_is_refused_before_its_fields_are(
    client: AgentClient, path: str
) -> None:
    """An agent learns nothing of the params of types that are not its own."""
    narrow = make_agent(make_person("otto", "agent owner"), "mail-bot", action_types=["email.send"])
    other = AgentClient(make_key(narrow))
    wrong = a_proposal(refund(amount="1.5"), decide_by=PAST)

    refused = other.post(path, wrong, key="k")

    assert (refused.status_code, refused.json()["code"]) == (403, "action_not_allowed")
    assert answer_of(other, path, {**wrong, "confidence": 2})[2] == ["decide_by", "confidence"]


@pytest.mark.parametrize("path", PATHS)
def test_a_pause_is_told_to_whoever_has_the_action_right(client: AgentClient, path: str) -> None:
    agents.pause_agent(Agent.objects.get().pk, actor=INSTALLER, reason="rogue")

    right = client.post(path, a_proposal(decide_by=PAST), key="k")
    wrong = client.post(path, a_proposal(refund(amount="1.5"), decide_by=PAST), key="k")

    assert (right.status_code, right.json()["code"]) == (403, "paused")
    assert [e["field"] for e in wrong.json()["errors"]] == ["params.amount", "decide_by"]


def test_without_a_key_the_fields_are_not_even_looked_at(client: AgentClient) -> None:
    answer = client.post("actions/", a_proposal(refund(amount="1.5"), confidence=2))

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


def test_a_used_key_answers_before_the_fields_do(client: AgentClient) -> None:
    client.propose(key="once")

    answer = client.propose(a_proposal(refund(amount="1.5"), decide_by=PAST), key="once")

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("path", PATHS)
def test_what_is_done_cannot_be_replaced(client: AgentClient, path: str) -> None:
    done = client.propose().json()["id"]
    execute(UUID(done))

    answer = client.post(path, a_proposal(refund(amount="1.5"), supersedes=done), key="k")

    assert [e["field"] for e in answer.json()["errors"]] == ["params.amount", "supersedes"]
    assert "audited" in answer.json()["errors"][1]["message"]


HOSTILE: list[Any] = [
    {}, {"params": {}}, {"": 1, ".": 2, "params.": 3, "non_field_errors": 4},
    {"params": {"": 1, ".": {}, "a.b": [], "amount": {"amount": "1"}}},
    {"params": {f"{n}" * 3000: {} for n in range(40)}},
    {f"{n}" + "." * 3000: {} for n in range(60)},
    {"params": {"amount": "9" * 3000, "currency": "ZZZ"}},
    {"params": {"charge": {"x": {"y": [1]}}, "amount": [["1.00"]], "currency": {"EUR": 1}}},
    {"evidence": [[], None, 5, {"kind": []}], "alternatives": [{"": 1}], "model": [{"id": 1}]},
    {"action_type": "refund.issue\n", "supersedes": -1, "decide_by": {"a": 1}},
    {"action_type": "refund.issue", "supersedes": 1e300, "params": {"charge": "\u2028"}},
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("rest", [{}, {"action_type": "refund.issue", "intent": "x"}])
def test_whatever_is_sent_is_answered_as_a_problem(
    client: AgentClient, path: str, body: Any, rest: Any
) -> None:
    status, _, fields = answer_of(client, path, {**rest, **body})

    assert status in (400, 422)
    assert fields


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [[], "text", 5, None, True, [{"params": {}}]])
def test_what_is_no_object_is_one_error(client: AgentClient, path: str, body: Any) -> None:
    answer = client.post_raw(path, json.dumps(body))

    assert answer.status_code == 400
    assert len(json.loads(answer.content)["errors"]) == 1
