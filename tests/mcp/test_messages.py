"""Envelopes, headers, origins and revisions: refused before anybody looks at what is meant."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from django.test import Client

from approvals.mcp import tools
from approvals.models import ActionRequest
from connectors.registry import action_types
from tests.approvals.make import make_agent, make_key, make_person
from tests.mcp.make import META, MODERN, Mcp

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


@pytest.fixture
def mcp(begun: str) -> Mcp:
    return Mcp(begun)


def refused(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_modern_client_is_told_what_there_is(mcp: Mcp) -> None:
    told = mcp.ask("server/discover")

    assert told["resultType"] == "complete"
    assert told["supportedVersions"][0] == MODERN
    assert told["capabilities"]["extensions"] == {f"{META}tasks": {}}
    assert told["cacheScope"] == "private"
    assert told["_meta"][f"{META}serverInfo"]["name"] == "countersign"


def test_tools_are_those_of_the_key_in_a_stable_order(mcp: Mcp) -> None:
    told = mcp.ask("tools/list")

    names = [tool["name"] for tool in told["tools"]]
    assert (told["cacheScope"], told["ttlMs"] > 0) == ("private", True)
    assert names[:-5] == sorted(names[:-5])
    assert names[-5:] == [
        f"countersign_{n}" for n in ["status", "answer", "withdraw", "undo", "check"]
    ]
    assert set(names[:-5]) == {kind.key.replace(".", "_") for kind in action_types()}
    narrow = make_agent(make_person("otto", "agent owner"), "narrow", action_types=["crm.tag"])
    assert [t["name"] for t in Mcp(make_key(narrow)).ask("tools/list")["tools"]][:-5] == ["crm_tag"]


def test_every_tool_is_described_by_schemas_that_hold(mcp: Mcp) -> None:
    for tool in mcp.ask("tools/list")["tools"]:
        assert len(tool["name"]) <= 64
        assert "." not in tool["name"]
        jsonschema_rs.Draft202012Validator(tool["inputSchema"])
    (refund,) = [t for t in mcp.ask("tools/list")["tools"] if t["name"] == "refund_issue"]
    assert "intent" in refund["inputSchema"]["required"]
    assert refund["annotations"]["destructiveHint"] is True


def test_no_tool_decides(mcp: Mcp) -> None:
    own = [t["name"] for t in mcp.ask("tools/list")["tools"] if t["name"].startswith(tools.OWN)]

    assert not [n for n in own if any(w in n for w in ("approve", "reject", "decide", "publish"))]


def test_action_types_that_cannot_be_tools_are_found_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert list(tools.mistakes()) == []
    kinds = action_types()
    monkeypatch.setattr(tools, "action_types", lambda: (*kinds, kinds[0]))

    assert "would be the same tool" in next(tools.mistakes())


@pytest.mark.parametrize(
    "headers",
    [
        {"MCP-Protocol-Version": "2025-11-25"},
        {"Mcp-Method": "tools/call"},
        {"MCP-Protocol-Version": "1999-01-01"},
        {"Mcp-Method": ""},
    ],
)
def test_headers_that_say_something_else_are_refused(mcp: Mcp, headers: dict[str, str]) -> None:
    body, right = mcp.envelope("tools/list", {})

    assert refused(mcp.post(body, {**right, **headers})) == (400, -32020)


def test_the_name_in_the_header_is_that_of_the_tool(mcp: Mcp) -> None:
    body, headers = mcp.envelope("tools/call", {"name": "refund_issue", "arguments": {}})

    for name in ("crm_tag", "", "=?base64?!!?="):
        assert refused(mcp.post(body, {**headers, "Mcp-Name": name})) == (400, -32020)
    del headers["Mcp-Name"]
    assert refused(mcp.post(body, headers)) == (400, -32020)
    encoded = {**headers, "Mcp-Name": "=?base64?cmVmdW5kX2lzc3Vl?="}
    assert mcp.post(body, encoded).status_code == 200


def test_an_unknown_revision_is_told_the_known_ones(mcp: Mcp) -> None:
    body, headers = mcp.envelope("tools/list", {"_meta": {f"{META}protocolVersion": "2031-01-01"}})

    answer = mcp.post(body, {**headers, "MCP-Protocol-Version": "2031-01-01"})

    assert refused(answer) == (400, -32022)
    assert MODERN in answer.json()["error"]["data"]["supported"]


def test_unknown_methods_and_envelopes_without_their_parts(mcp: Mcp) -> None:
    assert mcp.error("prompts/list") == (404, -32601)
    assert mcp.error("initialize") == (404, -32601)
    assert mcp.error("tools/call", name="nothing_there", arguments={}) == (400, -32602)
    body, headers = mcp.envelope("tools/list", {})
    del body["params"]["_meta"][f"{META}clientCapabilities"]
    assert refused(mcp.post(body, headers)) == (400, -32602)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", -32700),
        ('{"jsonrpc":"2.0","jsonrpc":"2.0"}', -32700),
        ("[]", -32600),
        ('{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
        ('{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
        ('{"jsonrpc":"2.0","method":"ping"}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32600),
    ],
)
def test_what_is_no_message_is_refused(mcp: Mcp, body: str, code: int) -> None:
    assert refused(mcp.post(body)) == (400, code)


def test_a_page_of_somebody_else_is_no_agent(mcp: Mcp) -> None:
    body, headers = mcp.envelope("tools/list", {})

    villain = mcp.post(body, {**headers, "Origin": "https://evil.example"})
    own = mcp.post(body, {**headers, "Origin": "http://127.0.0.1:8000"})

    assert (villain.status_code, villain.json()["code"]) == (403, "wrong_origin")
    assert own.status_code == 200


def test_only_a_right_key_gets_in(mcp: Mcp) -> None:
    body, headers = mcp.envelope("tools/list", {})

    for auth in ({"Authorization": "Bearer csk_no_key"}, {"Accept": "*/*"}):
        answer = mcp.post(body, headers, **auth)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_there_is_no_stream_and_no_session(mcp: Mcp, method: str) -> None:
    answer = Client().generic(method, "/mcp/", headers=mcp.auth)

    assert answer.status_code == 405


def test_the_address_without_its_slash_is_no_redirect(mcp: Mcp) -> None:
    body, headers = mcp.envelope("tools/list", {})

    answer = mcp.client.post(
        "/mcp", body, content_type="application/json", headers={**mcp.auth, **headers}
    )

    assert answer.status_code == 200


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25"])
def test_older_clients_begin_with_initialize(mcp: Mcp, version: str) -> None:
    begun = mcp.legacy("initialize", protocolVersion=version, capabilities={}, clientInfo={})
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    noted = mcp.post(body, {"MCP-Protocol-Version": version})

    assert begun.json()["result"]["protocolVersion"] == version
    assert "Mcp-Session-Id" not in begun
    assert (noted.status_code, noted.content) == (202, b"")
    assert mcp.legacy("ping", version).json()["result"] == {}
    assert mcp.legacy("tools/list", version).json()["result"]["tools"]
    unknown = mcp.legacy("tasks/list", version)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (200, -32601)


def test_a_revision_nobody_knows_is_offered_the_newest_older_one(mcp: Mcp) -> None:
    begun = mcp.legacy("initialize", protocolVersion="1999-01-01", capabilities={})

    assert begun.json()["result"]["protocolVersion"] == "2025-11-25"


def test_the_oldest_clients_get_no_links_they_do_not_know(mcp: Mcp) -> None:
    arguments = {
        **{"charge": "ch_1001", "amount": "800.00", "currency": "EUR"},
        **{"reason": "damaged", "intent": "A photo came."},
    }

    def kinds(version: str) -> list[str]:
        told = mcp.legacy("tools/call", version, name="refund_issue", arguments=arguments).json()
        return [part["type"] for part in told["result"]["content"]]

    assert kinds("") == ["text"]
    assert kinds("2025-06-18") == ["text", "resource_link"]
    assert ActionRequest.objects.count() == 1
