"""Strict intake: what is ambiguous, oversized or not quite money is refused, and nothing stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from approvals.models import ActionRequest
from tests.api.make import AgentClient, a_proposal
from tests.approvals.make import refund

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


BAD_BODIES: list[tuple[bytes | str, int, str]] = [
    ("{", 400, "malformed_json"),
    ("[]", 400, "invalid_request"),
    ('"text"', 400, "invalid_request"),
    ("", 400, "invalid_request"),
    (b"\xff\xfe", 400, "malformed_json"),
    ('{"a": NaN}', 400, "malformed_json"),
    ('{"a": Infinity}', 400, "malformed_json"),
    ('{"a": 1e400}', 400, "number_out_of_range"),
    ('{"a": 123456789012345678901234567890}', 400, "number_out_of_range"),
    ('{"a": 1, "a": 2}', 400, "duplicate_key"),
    ('{"a": "\\u0000"}', 400, "nul_in_text"),
    ('{"a": "\\ud800"}', 400, "surrogate_in_text"),
    ('{"\\udfff": 1}', 400, "surrogate_in_text"),
    ("[" * 100_000, 400, "too_deep"),
    ('{"a":' * 40 + "1" + "}" * 40, 400, "too_deep"),
    ("{" + ",".join(f'"k{i}": 1' for i in range(5000)) + "}", 400, "too_many_keys"),
    (b'{"a": "' + b"x" * 300_000 + b'"}', 413, "body_too_large"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD_BODIES)
def test_what_is_not_strict_json_is_refused_and_nothing_is_stored(
    client: AgentClient, body: bytes | str, status: int, code: str
) -> None:
    answer = client.post_raw("actions/", body)

    assert answer.status_code == status, answer.content[:300]
    problem = json.loads(answer.content)
    assert problem["code"] == code
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not ActionRequest.objects.exists()


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"]
)
def test_only_json_is_read(client: AgentClient, content_type: str) -> None:
    answer = client.post_raw("actions/", json.dumps(a_proposal()), content_type=content_type)

    assert answer.status_code == 415
    assert not ActionRequest.objects.exists()


def test_another_charset_is_refused(client: AgentClient) -> None:
    body = json.dumps(a_proposal())
    answer = client.post_raw("actions/", body, content_type="application/json; charset=utf-16")

    assert answer.status_code == 400
    assert json.loads(answer.content)["code"] == "wrong_charset"


AMOUNTS: list[Any] = [
    "NaN", "Infinity", "-1.00", "+1.00", "1e3", "1_000.00", " 1.00", "1.00 ", "1,00", "1.0",
    "1.000", "1", "01.00", ".50", "1.", "１.００", "٣.٠٠", "", "0x10", "1.00\n", 1.0, 180, None,
    True, ["1.00"], {"value": "1.00"}, "9" * 40 + ".00",
]  # fmt: skip


@pytest.mark.parametrize("amount", AMOUNTS)
def test_only_decimal_strings_with_the_currencys_decimals_are_money(
    client: AgentClient, amount: Any
) -> None:
    answer = client.propose(a_proposal({**refund(), "amount": amount}))

    assert answer.status_code in (400, 422), answer.json()
    assert any(e["field"].startswith("params.amount") for e in answer.json()["errors"])
    assert not ActionRequest.objects.exists()


@pytest.mark.parametrize(
    "field", ["approved", "risk_tier", "amount", "state", "verdict", "__class__"]
)
def test_unknown_fields_are_refused_by_name(client: AgentClient, field: str) -> None:
    answer = client.propose(a_proposal(**{field: "1"}))

    assert answer.status_code == 400
    assert [e["field"] for e in answer.json()["errors"]] == [field]
    assert not ActionRequest.objects.exists()


def test_all_problems_come_at_once_each_with_its_path(client: AgentClient) -> None:
    answer = client.propose(
        a_proposal({"charge": 5, "amount": "1.5", "currency": "EUR", "more": 1})
    )

    fields = {e["field"] for e in answer.json()["errors"]}
    assert answer.status_code == 422
    assert {"params.charge", "params.more", "params.reason"} <= fields


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"confidence": 1.5}, "confidence"),
        ({"confidence": "0.9"}, "confidence"),
        ({"confidence": True}, "confidence"),
        ({"intent": 5}, "intent"),
        ({"intent": ""}, "intent"),
        ({"params": []}, "params"),
        ({"evidence": {}}, "evidence"),
        ({"evidence": [{"kind": "x"}]}, "evidence.0.title"),
        ({"evidence": [{"kind": "x", "title": "t", "uri": "file:///x"}]}, "evidence.0.uri"),
        ({"evidence": [{"kind": "x", "title": "t", "extra": 1}]}, "evidence.0.extra"),
        ({"decide_by": "soon"}, "decide_by"),
        ({"decide_by": "2001-01-01T00:00:00Z"}, "decide_by"),
        ({"supersedes": "00000000-0000-0000-0000-000000000000"}, "supersedes"),
        ({"action_type": "refund.everything"}, "action_type"),
        ({"action_type": "../../etc"}, "action_type"),
        ({"session": "a b"}, "session"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named(client: AgentClient, fields: dict[str, Any], named: str) -> None:
    answer = client.propose({**a_proposal(), **fields})

    assert answer.status_code in (400, 422), answer.json()
    assert [e["field"] for e in answer.json()["errors"]] == [named]
    assert not ActionRequest.objects.exists()
