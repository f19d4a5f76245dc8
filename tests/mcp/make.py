"""A client that speaks MCP over plain HTTP, in the modern revision or an older one."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from django.test import Client

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
TASKS = {"extensions": {f"{META}tasks": {}}}
_numbers = count(1)


class Mcp:
    """Messages of one agent; `tasks`: it says that it follows tasks."""

    def __init__(self, key: str, *, tasks: bool = False) -> None:
        self.client = Client(raise_request_exception=False)
        self.auth = {"Authorization": f"Bearer {key}"}
        self.capabilities: dict[str, Any] = TASKS if tasks else {}

    def envelope(
        self, method: str, params: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """A message of the modern revision and its headers."""
        own = params.pop("_meta", {})
        meta = {
            f"{META}protocolVersion": MODERN,
            f"{META}clientCapabilities": self.capabilities,
            **own,
        }
        body = {
            "jsonrpc": "2.0",
            "id": next(_numbers),
            "method": method,
            "params": {**params, "_meta": meta},
        }
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if name := params.get("name") or params.get("taskId"):
            headers["Mcp-Name"] = name
        return body, headers

    def post(self, body: Any, headers: dict[str, str] | None = None, **auth: str) -> Any:
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post(
            "/mcp/",
            data,
            content_type="application/json",
            headers={
                "Accept": "application/json, text/event-stream",
                **(auth or self.auth),
                **(headers or {}),
            },
        )

    def ask(self, method: str, **params: Any) -> Any:
        """A modern request; its result."""
        body, headers = self.envelope(method, params)
        answer = self.post(body, headers)
        assert answer.status_code == 200, answer.content
        told = answer.json()
        assert told["id"] == body["id"]
        return told["result"]

    def error(self, method: str, **params: Any) -> tuple[int, int]:
        """A modern request that is refused; HTTP status and JSON-RPC code."""
        body, headers = self.envelope(method, params)
        answer = self.post(body, headers)
        return answer.status_code, answer.json()["error"]["code"]

    def call(self, tool: str, arguments: dict[str, Any], **meta: Any) -> Any:
        return self.ask("tools/call", name=tool, arguments=arguments, _meta=meta)

    def legacy(self, method: str, version: str = "", **params: Any) -> Any:
        """A request of an older revision; the whole answer."""
        headers = {"MCP-Protocol-Version": version} if version else {}
        body = {"jsonrpc": "2.0", "id": next(_numbers), "method": method, "params": params}
        return self.post(body, headers)
