"""Whatever is sent to the MCP endpoint: an answer a client can read, and never a 500."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from django.core.cache import cache
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals.choices import State
from approvals.mcp import calls, tools
from approvals.mcp.protocol import IDEMPOTENCY_KEY, LEGACY, TASKS
from approvals.mcp.views import _LEGACY, _MODERN
from approvals.models import ActionRequest, Execution
from tests.approvals.make import refund
from tests.mcp.make import META, MODERN, Mcp
from tests.trials import trials

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

EXAMPLES = trials(150, least=40)
NO_LIMITS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
_text = st.text(max_size=12) | st.sampled_from(["", "\x00", "\ud800", "\u202e", "\uffff"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_header = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)
_version = st.sampled_from([MODERN, *LEGACY, "2024-11-05"]) | _header
_method = st.sampled_from(sorted({*_MODERN, *_LEGACY, "notifications/initialized"})) | _text
_tool = st.sampled_from(["refund_issue", "crm_tag", "crm_update", *calls._FOLLOW_UP]) | _text
_meta = st.fixed_dictionaries(
    {},
    optional={
        f"{META}protocolVersion": _version | _json,
        f"{META}clientCapabilities": st.just({}) | st.just({"extensions": {TASKS: {}}}) | _json,
        IDEMPOTENCY_KEY: st.just("key-1") | _json,
    },
)
_known = st.sampled_from(["REQUEST", "REQUEST.0"])
_REFUND = {**refund("ch_1001", "800.00"), "intent": "The customer sent a photo."}
_RIGHT: dict[str, dict[str, Any]] = {
    "refund_issue": _REFUND,
    tools.STATUS: {"id": "REQUEST", "wait": 0},
    tools.ANSWER: {"id": "REQUEST", "answer": "It was broken."},
    tools.WITHDRAW: {"id": "REQUEST", "reason": "No longer wanted."},
    tools.UNDO: {"id": "REQUEST", "reason": "No longer wanted."},
    tools.CHECK: {"tool": "refund_issue", "arguments": _REFUND},
    tools.REDEEM: {"id": "REQUEST", "redeemer": "run-1"},
    tools.REPORT: {"id": "REQUEST", "fence": 1, "outcome": "done", "receipt": "build-7"},
}
"""Arguments that each tool takes."""
_arguments = st.sampled_from([*_RIGHT.values()]) | st.dictionaries(_text, _json, max_size=3)
_params = st.fixed_dictionaries(
    {},
    optional={
        "_meta": _meta | _json,
        "name": _tool | _json,
        "arguments": _arguments | _json,
        "taskId": _known | _json,
        "protocolVersion": _version | _json,
        "cursor": _json,
    },
)
_message = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | _json,
        "id": st.integers() | _json,
        "method": _method | _json,
        "params": _params | _json,
        "extra": _json,
    },
)
_headers = st.fixed_dictionaries(
    {},
    optional={
        "MCP-Protocol-Version": _version,
        "Mcp-Method": _method.filter(lambda one: one.isascii() and one.isprintable()) | _header,
        "Mcp-Name": st.sampled_from(["refund_issue", "=?base64?!?=", "=?base64?4pyT?="]) | _header,
        "Mcp-Session-Id": _header,
        "Accept": _header,
        "Origin": _header,
        "Content-Encoding": _header,
    },
)


@st.composite
def _nearly_right(draw: Any) -> dict[str, Any]:
    """A call of a tool with one argument that is anything, or gone, or one too many."""
    tool = draw(st.sampled_from([*_RIGHT]))
    arguments = dict(_RIGHT[tool])
    name = draw(st.sampled_from([*arguments, "more"]))
    if draw(st.booleans()) or name == "more":
        arguments[name] = draw(_json)
    else:
        del arguments[name]
    return {"method": "tools/call", "params": {"name": tool, "arguments": arguments}}


@pytest.fixture
def mcp(begun: str, monkeypatch: pytest.MonkeyPatch) -> Mcp:
    """Nobody waits for anything: there is no worker."""
    monkeypatch.setattr(calls, "ANSWER_WITHIN", 0.0)
    monkeypatch.setattr(tools, "LONGEST_STATUS_WAIT", 0)
    return Mcp(begun)


def asked(mcp: Mcp, body: Any, headers: dict[str, str]) -> int:
    """The status, of an answer that is what the protocol or the API says."""
    cache.clear()  # so that none is refused because there are many
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = mcp.post(sent, headers)
    assert answer.status_code < 500, (body, headers, answer.content)
    if answer.status_code == 202:
        assert answer.content == b""
        return 202
    told = json.loads(answer.content)
    is_message = told.get("jsonrpc") == "2.0" and ("result" in told) != ("error" in told)
    assert is_message or answer["Content-Type"] == "application/problem+json", told
    return int(answer.status_code)


def filled(value: Any, request: str) -> Any:
    """With the request's id in the place of REQUEST."""
    return json.loads(json.dumps(value).replace("REQUEST", request))


def envelope(mcp: Mcp, message: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """The message in an envelope that is right, so that what it means is looked at."""
    params = message.get("params")
    params = params if isinstance(params, dict) else {}
    params = {name: value for name, value in params.items() if name != "_meta"}
    body, headers = mcp.envelope(str(message.get("method", "")), params)
    name = params.get("name") or params.get("taskId")
    fits = isinstance(name, str) and name.isascii() and name.isprintable()
    kept = {k: v for k, v in headers.items() if v.isascii() and v.isprintable()} if fits else {}
    return body, {**{k: v for k, v in headers.items() if k != "Mcp-Name"}, **kept}


def test_no_message_makes_the_endpoint_fail(mcp: Mcp) -> None:
    told = mcp.call("refund_issue", {**refund("ch_1001", "800.00"), "intent": "A photo."})
    request = told["structuredContent"]["id"]
    seen: Counter[int] = Counter()

    @given(message=_message | _json, headers=_headers)
    @NO_LIMITS
    def anything(message: Any, headers: dict[str, str]) -> None:
        seen[asked(mcp, filled(message, request), headers)] += 1

    @given(message=_nearly_right())
    @NO_LIMITS
    def one_argument(message: dict[str, Any]) -> None:
        seen[asked(mcp, *envelope(mcp, filled(message, request)))] += 1

    @given(message=_message)
    @NO_LIMITS
    def meaning(message: dict[str, Any]) -> None:
        body, headers = envelope(mcp, filled(message, request))
        if all(value.isascii() and value.isprintable() for value in headers.values()):
            seen[asked(mcp, body, headers)] += 1

    @given(params=_params, version=st.sampled_from(LEGACY))
    @NO_LIMITS
    def of_older_clients(params: Any, version: str) -> None:
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": filled(params, request),
        }
        seen[asked(mcp, body, {"MCP-Protocol-Version": version})] += 1

    @given(body=st.binary(max_size=60), headers=_headers)
    @NO_LIMITS
    def bytes_of_any_kind(body: bytes, headers: dict[str, str]) -> None:
        seen[asked(mcp, body, headers)] += 1

    for fuzz in (one_argument, anything, meaning, of_older_clients, bytes_of_any_kind):
        fuzz()

    assert {200, 400} <= set(seen), seen
    assert not Execution.objects.exists()
    assert {one.state for one in ActionRequest.objects.all()} <= {
        State.PENDING_APPROVAL, State.WITHDRAWN, State.APPROVED, State.DENIED,
    }  # fmt: skip
    assert "structuredContent" in mcp.call("countersign_status", {"id": request})
