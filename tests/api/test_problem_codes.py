"""The codes of refusals nothing else in these tests provokes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.api.make import AgentClient, a_proposal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def told(answer: Any) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("wait", ["-1", "soon", "1.5", "99999", "٣"])
def test_a_wait_is_a_number_of_seconds(client: AgentClient, wait: str) -> None:
    assert told(client.get("actions/changes/", wait=wait)) == (400, "bad_wait")


@pytest.mark.parametrize("key", ["two words", "k" * 201, "schlüssel"])
def test_an_idempotency_key_is_plain(client: AgentClient, key: str) -> None:
    answer = client.post("actions/", a_proposal(), key=key)

    assert told(answer) == (400, "idempotency_key_invalid")


def test_bodies_are_json(client: AgentClient) -> None:
    answer = client.post_raw("actions/", "a=1", content_type="application/x-www-form-urlencoded")

    assert told(answer) == (415, "unsupported_media_type")


def test_nul_in_an_address_is_refused(client: AgentClient) -> None:
    assert told(client.get("actions/", session="a\0b")) == (400, "malformed_request")


def test_answers_are_json(client: AgentClient) -> None:
    headers = {**client._headers, "Accept": "text/csv"}

    answer = Client().get("/api/v1/action-types/", headers=headers)

    assert told(answer) == (406, "not_acceptable")
