"""What each answer of a server proves about the effect; whatever it is, the call is made once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from connectors.adapters.mcp.connector import ToolsConnector
from connectors.adapters.mcp.conversation import MODERN, WITH_HANDSHAKE
from connectors.adapters.mcp.drafts import draft_from
from connectors.adapters.mcp.events import EventStream
from connectors.adapters.mcp.file import parse_tools
from connectors.base import Action, ConnectorError, OutcomeUnknown, Receipt
from tests.foreign_tools.odd import (
    DONE,
    JSON,
    TOOL,
    Odd,
    Said,
    error,
    plain,
    result,
    server_with,
    serving,
    stream,
)

ACTION = Action("odd.open", {"title": "Lamp"})
ANSWER = {"jsonrpc": "2.0", "id": "NUMBER", "result": DONE}
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
Call = Callable[[int], Said]


@pytest.fixture(autouse=True)
def _short(settings: Settings) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=3)


def connector_to(odd: Odd, revision: str = MODERN) -> ToolsConnector:
    """As its tools were drafted from one that behaved."""
    with serving(server_with()) as well:
        text = draft_from("odd", well.url, "", today=date(2026, 11, 23)).text
    text = text.replace("draft: true\n", "").replace(f"'{MODERN}'", f"'{revision}'")
    return ToolsConnector(parse_tools(text, "odd"), odd.url, "secret-of-a-test")


def called(call: Call, revision: str = MODERN) -> Receipt:
    """Carry it out against a server that answers the call so; it was called exactly one time."""
    with serving(server_with(call=call)) as odd:
        try:
            return connector_to(odd, revision).execute(ACTION, idempotency_key="k")
        finally:
            assert odd.count("tools/call") == 1


@pytest.mark.parametrize("revision", [MODERN, WITH_HANDSHAKE[0]])
@pytest.mark.parametrize(
    "call",
    [
        result(DONE),
        result({**DONE, "resultType": "complete", "structuredContent": {"id": 7}}),
        stream(ANSWER),
        stream(PROGRESS, {**ANSWER, "id": 99}, ANSWER),
        stream("no message", {**ANSWER, "id": True}, ANSWER, end=b"data: {half"),
    ],
)
def test_a_finished_result_is_a_receipt(call: Call, revision: str) -> None:
    assert called(call, revision).reference.startswith("answer ")


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (error(-32602), "rpc_-32602"),
        (error(-32601, 404), "rpc_-32601"),
        (error(-32020, 400, id=None), "rpc_-32020"),
        (plain(400), "http_400"),
        (plain(401), "http_401"),
        (plain(403, b"<p>No.</p>"), "http_403"),
        (plain(404), "http_404"),
        (plain(413), "http_413"),
        (plain(429), "http_429"),
        (result({**DONE, "isError": True}), "tool_failed"),
        (result({"resultType": "input_required", "inputRequests": {}}), "needs_input"),
    ],
)
def test_a_refusal_ends_it_for_good(call: Call, code: str) -> None:
    with pytest.raises(ConnectorError) as refused:
        called(call)

    assert (refused.value.permanent, refused.value.code) == (True, code)


@pytest.mark.parametrize(
    "call",
    [
        error(-32603),
        error(-1),
        error(-32000, 500),
        plain(302),
        plain(307),
        plain(408),
        plain(500),
        plain(503, b"<p>Busy.</p>"),
        plain(202),
        plain(200, b"<p>Hello.</p>"),
        plain(200, b'{"jsonrpc": "2.0", "id":', JSON),
        plain(200, b"[" * 100_000, JSON),
        plain(200, b"[]", JSON),
        result(DONE, id=99),
        result(DONE, error={"code": 1, "message": "Both."}),
        result([]),
        result({}),
        result({"content": "Opened."}),
        result({"content": ["Opened."]}),
        result({**DONE, "isError": "no"}),
        result({"resultType": "task", "taskId": "t", "status": "working"}),
        result({**DONE, "structuredContent": {"text": "\ud800"}}),
        result({**DONE, "structuredContent": {"number": 2**70}}),
        stream(),
        stream(PROGRESS),
        stream(PROGRESS, end=b'data: {"jsonrpc": "2.0", "id": 2, "result"'),
        stream({**ANSWER, "result": {**DONE, "structuredContent": {"number": float("nan")}}}),
        stream("x" * 5_000_000),
    ],
)
def test_whatever_proves_nothing_leaves_it_unknown(call: Call) -> None:
    with pytest.raises(OutcomeUnknown):
        called(call)


def test_a_stream_that_stays_open_is_read_as_far_as_the_answer() -> None:
    with serving(server_with(call=stream(PROGRESS, ANSWER))) as odd:
        connector = connector_to(odd)
        odd.stays_open.clear()
        began = time.monotonic()
        receipt = connector.execute(ACTION, idempotency_key="k")

    assert receipt.detail["said"] == '{"text":"Opened."}'
    assert time.monotonic() - began < 2


def test_a_stream_that_says_nothing_more_ends_with_our_time() -> None:
    with serving(server_with(call=stream(PROGRESS))) as odd:
        connector = connector_to(odd)
        odd.stays_open.clear()
        with pytest.raises(OutcomeUnknown):
            connector.execute(ACTION, idempotency_key="k")

    assert odd.count("tools/call") == 1


@pytest.mark.parametrize(
    "listed",
    [
        result({"tools": []}),
        result({"tools": [TOOL, TOOL]}),
        result({"tools": [{**TOOL, "name": 7}]}),
        result({"tools": {}}),
        result({"tools": [{**TOOL, "description": "Opens two tickets."}]}),
        result({"tools": [{**TOOL, "description": "\ud800"}]}),
        result({"tools": [TOOL], "nextCursor": "again"}),
        error(-32603),
        plain(302),
        plain(500),
        plain(200, b"<p>Hello.</p>"),
        stream(),
    ],
)
def test_without_the_tool_as_it_was_reviewed_nothing_is_called(listed: Call) -> None:
    with serving(server_with(list=listed)) as odd, pytest.raises(ConnectorError):
        connector_to(odd).execute(ACTION, idempotency_key="k")

    assert odd.count("tools/call") == 0


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ({"tools": []}, "has no tool open any more"),
        ({"tools": [{**TOOL, "description": "\ud800"}]}, "has changed what it says"),
    ],
)
def test_a_look_says_what_is_different_and_keeps_nothing_that_cannot_be_kept(
    listed: Any, says: str
) -> None:
    with serving(server_with(list=result(listed))) as odd:
        preview = connector_to(odd).preview(ACTION)

    assert says in str(preview.after["problem"])
    assert preview.evidence == ()


def test_what_the_protocol_adds_to_a_definition_is_no_change_of_it() -> None:
    with serving(server_with(list=result({"tools": [{**TOOL, "_meta": {"seen": 1}}]}))) as odd:
        assert connector_to(odd).changes() == []


def test_all_pages_of_the_list_are_read() -> None:
    numbers = count(1)

    def listed(number: int) -> Said:
        page = next(numbers)
        other = {**TOOL, "name": f"other_{page}"}
        more = {"tools": [other], "nextCursor": f"page-{page}"}
        return result(more if page < 3 else {"tools": [TOOL]})(number)

    with serving(server_with(list=listed)) as odd:
        assert connector_to(odd).changes() == []

    cursors = [one["params"].get("cursor") for one in odd.asked]
    assert cursors == [None, "page-1", "page-2"]


def test_each_request_says_what_its_revision_wants_in_its_headers() -> None:
    with serving(server_with()) as odd:
        connector_to(odd).execute(ACTION, idempotency_key="k")

    headers = odd.headers[-1]
    assert headers["MCP-Protocol-Version"] == MODERN
    assert (headers["Mcp-Method"], headers["Mcp-Name"]) == ("tools/call", "open")
    assert "Authorization" not in headers  # it was drafted without a credential
    assert odd.asked[-1]["params"]["arguments"] == {"title": "Lamp"}


def test_an_older_server_is_greeted_first_and_spoken_to_as_it_answers() -> None:
    with serving(server_with()) as odd:
        connector_to(odd, WITH_HANDSHAKE[0]).execute(ACTION, idempotency_key="k")

    methods = [one["method"] for one in odd.asked]
    assert methods == ["initialize", "notifications/initialized", "tools/list", "tools/call"]
    assert "MCP-Protocol-Version" not in odd.headers[0]
    assert odd.headers[-1]["MCP-Protocol-Version"] == "2025-06-18"


def test_a_server_of_an_unknown_revision_is_not_called() -> None:
    unknown = result({"protocolVersion": "2030-01-01"})
    with serving(server_with(initialize=unknown)) as odd:
        connector = connector_to(odd, WITH_HANDSHAKE[0])
        with pytest.raises(ConnectorError, match="not known here"):
            connector.execute(ACTION, idempotency_key="k")

    assert odd.count("tools/call") == 0


@pytest.mark.parametrize(
    ("discover", "revision"),
    [
        (result({"supportedVersions": [MODERN]}), MODERN),
        (result({"supportedVersions": ["2025-11-25"]}), "2025-11-25"),
        (error(-32601, 404), "2025-11-25"),
        (plain(400), "2025-11-25"),
        (plain(405), "2025-11-25"),
    ],
)
def test_the_draft_says_which_revision_was_spoken(discover: Call, revision: str) -> None:
    with serving(server_with(discover=discover)) as odd:
        text = draft_from("odd", odd.url, "", today=date(2026, 11, 23)).text

    assert f"revision: '{revision}'" in text


def test_a_server_that_is_down_is_no_older_one() -> None:
    with serving(server_with(discover=plain(503))) as odd, pytest.raises(ConnectorError):
        draft_from("odd", odd.url, "", today=date(2026, 11, 23))

    assert odd.count("initialize") == 0


def pieces_of(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """The bytes in pieces, cut at these places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    for begin, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[begin:end]


@given(cuts=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_a_stream_says_the_same_however_it_is_cut(cuts: list[int]) -> None:
    _, _, data = stream(PROGRESS, ANSWER, {**ANSWER, "result": {}})(1)
    events = EventStream(1)

    done = [events.feed(piece) for piece in pieces_of(data, cuts)]

    assert events.answer is not None
    assert events.answer["result"] == DONE
    assert done[-1]
    assert done == sorted(done)


@given(data=st.binary(max_size=300))
def test_a_stream_of_anything_is_no_answer_and_no_error(data: bytes) -> None:
    assert EventStream(1).feed(data) is False
