"""A client that speaks as an agent."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from django.http import HttpResponse
from django.test import Client

from audit.lib.canonical import JsonObject
from tests.approvals.make import (
    make_agent,
    make_house,
    make_key,
    make_limit,
    make_person,
    refund,
)

_numbers = count(1)


def make_house_with_key() -> str:
    """The key, in clear, of an agent that may propose everything, in a house with one manager."""
    make_house()
    make_limit(make_person("mona", "manager"), "5000.00")
    return make_key(make_agent(make_person("olga", "agent owner")))


class AgentClient:
    """The agents' API over Django's test client; `key` is the agent key in clear."""

    def __init__(self, key: str) -> None:
        self._client = Client(raise_request_exception=False)
        self._headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str, **query: str) -> Any:
        return self._client.get(f"/api/v1/{path}", query, headers=self._headers)

    def follow(self, address: str) -> Any:
        return self._client.get(address, headers=self._headers)

    def post(self, path: str, body: Any, *, key: str | None = None) -> Any:
        headers = dict(self._headers)
        if key is not None:
            headers["Idempotency-Key"] = key
        return self._client.post(
            f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers
        )

    def post_raw(
        self, path: str, body: bytes | str, *, content_type: str = "application/json"
    ) -> HttpResponse:
        headers = {**self._headers, "Idempotency-Key": f"raw-{next(_numbers)}"}
        return self._client.post(  # type: ignore[return-value]
            f"/api/v1/{path}", body, content_type=content_type, headers=headers
        )

    def propose(self, body: JsonObject | None = None, *, key: str = "") -> Any:
        return self.post(
            "actions/", a_proposal() if body is None else body, key=key or f"key-{next(_numbers)}"
        )


def a_proposal(params: JsonObject | None = None, **fields: Any) -> JsonObject:
    """A proposal body as an agent sends it."""
    return {
        "action_type": "refund.issue",
        "params": refund() if params is None else params,
        "intent": "The customer sent a photo of the broken item.",
        **fields,
    }
