"""What is said to an MCP server over streamable HTTP: which tools it has, and one call of a tool.

Revision 2026-07-28 says everything in each request. Those before it begin with `initialize` and
may keep a session, which is ended when all went well. A call of a tool has no key, no condition and
nothing to look it up by: it is made once and never again, although the newest revision has clients
repeat what a broken stream lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

import httpx
import rfc8785

from audit.lib.canonical import JsonObject, canonical
from connectors import http
from connectors.adapters.mcp.events import EventStream, is_answer
from connectors.base import ConnectorError, OutcomeUnknown
from connectors.catalogue import quoted
from connectors.declared.wire import Wire
from connectors.http import IS_COMPLETE, UnreadableAnswer

MODERN = "2026-07-28"
WITH_HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26")
"""The revisions that begin with `initialize`, the newest first: which of them, the server says."""
REVISIONS = (MODERN, WITH_HANDSHAKE[0])
"""What a system's file may name."""

_META = "io.modelcontextprotocol/"
_CLIENT: JsonObject = {"name": "countersign", "version": "1"}
_MOST_PAGES = 20
_MOST_TOOLS = 500
_NOT_DONE = frozenset({-32700, -32600, -32601, -32602, -32020, -32021, -32022})
"""Errors that are about the message: no tool was run. Any other may come after an effect."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a server answered: a result, or why there is none."""

    status: int
    result: JsonObject | None = None
    code: int | None = None  # of the JSON-RPC error
    message: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered: its structured content, or its text under "text"."""

    body: JsonObject
    text: str
    is_error: bool


@contextmanager
def conversation(wire: Wire, revision: str) -> Iterator[Conversation]:
    """Talk to the server, within the time of one connector call."""
    with wire.open() as client:
        talk = Conversation(client, wire, revision)
        yield talk
        talk.end()


class Conversation:
    """What is said within one client's time; raises ConnectorError where nothing was done."""

    def __init__(self, client: httpx.Client, wire: Wire, revision: str) -> None:
        self._client, self._wire = client, wire
        self._revision = revision
        self._is_begun = revision == MODERN
        self._session = ""
        self._number = 0

    def tools(self) -> dict[str, JsonObject]:
        """Every tool's definition as the server tells it now, by name."""
        found: dict[str, JsonObject] = {}
        cursor: JsonObject = {}
        for _ in range(_MOST_PAGES):
            page = self._read("tools/list", cursor)
            with http.reading(self._wire.system):
                for tool in _list_of(page, "tools"):
                    name = tool.get("name")
                    if not isinstance(name, str) or name in found:
                        raise UnreadableAnswer("A tool has no name, or one of another.")
                    found[name] = tool
            following = page.get("nextCursor")
            if not following:
                return found
            cursor = {"cursor": following}
            if len(found) > _MOST_TOOLS:
                break
        raise ConnectorError(
            f"{self._wire.system} lists more tools than can be read.", permanent=True, code="tools"
        )

    def read(self, tool: str, arguments: JsonObject) -> ToolResult:
        """Call a tool that people declared to be one that only reads."""
        said = self._read("tools/call", {"name": tool, "arguments": arguments}, name=tool)
        with http.reading(self._wire.system):
            result = _finished(said)
        if result.is_error:
            raise ConnectorError(
                f"{self._wire.system} could not be read: {self._quoted(result.text)}.",
                permanent=False,
                code="tool_failed",
            )
        return result

    def call(self, tool: str, arguments: JsonObject) -> ToolResult:
        """The one call that may change something; never made again, whatever comes of it.

        Raises ConnectorError where it was refused or the tool says that it failed, and
        OutcomeUnknown. Only what never left here may be tried another time.
        """
        self._begin()
        system = self._wire.system
        with http.writing(system):
            said = self._exchange("tools/call", {"name": tool, "arguments": arguments}, name=tool)
            kind = said.result.get("resultType", "complete") if said.result is not None else ""
            result = _finished(said.result) if said.result and kind == "complete" else None
        if result is None:
            raise self._not_done(said, str(kind))
        if result.is_error:
            raise ConnectorError(
                f"{system} says that its tool failed: {self._quoted(result.text)}. What the tool "
                "had done by then, nobody here knows.",
                permanent=True,
                code="tool_failed",
            )
        return result

    def offers_modern(self) -> bool:
        """Whether the server speaks the revision that needs no handshake."""
        with http.reading(self._wire.system):
            said = self._exchange("server/discover", {})
        if said.result is None:
            if said.status >= 500:
                self._refuse_read(said)
            return False
        versions = said.result.get("supportedVersions")
        return isinstance(versions, list) and MODERN in versions

    def end(self) -> None:
        """Tell the server that its session is over; one that does not want to know forgets it."""
        if self._session:
            with suppress(httpx.HTTPError):
                self._client.delete(self._wire.base_url, headers=self._headers())

    def _begin(self) -> None:
        if self._is_begun:
            return
        asked: JsonObject = {
            "protocolVersion": WITH_HANDSHAKE[0],
            "capabilities": {},
            "clientInfo": _CLIENT,
        }
        said = self._read("initialize", asked)
        version = said.get("protocolVersion")
        if version not in WITH_HANDSHAKE:
            raise ConnectorError(
                f"{self._wire.system} speaks a revision of MCP that is not known here.",
                permanent=True,
                code="revision",
            )
        self._revision, self._is_begun = str(version), True
        with http.reading(self._wire.system):
            answer = self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        if not answer.is_success:
            self._refuse_read(Told(answer.status_code, message=answer.reason_phrase))

    def _read(self, method: str, params: JsonObject, *, name: str = "") -> JsonObject:
        if method != "initialize":
            self._begin()
        with http.reading(self._wire.system):
            said = self._exchange(method, params, name=name)
        if said.result is None:
            self._refuse_read(said)
        return said.result

    def _exchange(self, method: str, params: JsonObject, *, name: str = "") -> Told:
        """One request and its answer. Raises httpx.HTTPError and UnreadableAnswer."""
        self._number += 1
        headers = {}
        if self._revision == MODERN:
            meta: JsonObject = {
                f"{_META}protocolVersion": MODERN,
                f"{_META}clientCapabilities": {},
                f"{_META}clientInfo": _CLIENT,
            }
            params = {**params, "_meta": meta}
            headers = {"Mcp-Method": method, **({"Mcp-Name": name} if name else {})}
        stream = EventStream(self._number)
        message: JsonObject = {
            "jsonrpc": "2.0",
            "id": self._number,
            "method": method,
            "params": params,
        }
        response = self._post(message, headers, stream)
        if method == "initialize":
            self._session = response.headers.get("Mcp-Session-Id", "")
        return _told(response, stream, self._number)

    def _post(
        self,
        message: JsonObject,
        headers: dict[str, str] | None = None,
        stream: EventStream | None = None,
    ) -> httpx.Response:
        def is_complete(part: bytes) -> bool:
            return stream is not None and stream.feed(part)

        return self._client.post(
            self._wire.base_url,
            content=canonical(message).encode(),
            headers={**self._headers(), **(headers or {}), "Content-Type": "application/json"},
            extensions={IS_COMPLETE: is_complete},
        )

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json, text/event-stream"}
        if self._is_begun:
            headers["MCP-Protocol-Version"] = self._revision
        return {**headers, "Mcp-Session-Id": self._session} if self._session else headers

    def _not_done(self, said: Told, kind: str) -> ConnectorError | OutcomeUnknown:
        """What it proves that a call was not answered with a finished result."""
        system = self._wire.system
        if kind == "input_required":
            return ConnectorError(
                f"{system} wants to be told more before its tool does anything; nobody is asked.",
                permanent=True,
                code="needs_input",
            )
        if said.result is not None:
            return OutcomeUnknown(f"{system} answered the call with something else than a result.")
        sentence = self._said(said)
        is_refusal = 400 <= said.status < 500 and said.status != 408
        if said.code in _NOT_DONE or is_refusal:
            code = f"rpc_{said.code}" if said.code is not None else f"http_{said.status}"
            return ConnectorError(sentence, permanent=True, code=code)
        return OutcomeUnknown(sentence)

    def _refuse_read(self, said: Told) -> NoReturn:
        if said.code is None:
            http.refuse_read(self._wire.system, said.status, said.message)
        raise ConnectorError(self._said(said), permanent=False, code=f"rpc_{said.code}")

    def _said(self, said: Told) -> str:
        if said.code is None:
            return http.said(self._wire.system, said.status, said.message)
        told = self._quoted(said.message)
        return f"{self._wire.system} answered with the error {said.code}: {told}."

    def _quoted(self, text: str) -> str:
        """Its own words, as somebody else's, and without our credential."""
        return quoted(self._wire.without_secrets(text))


def _told(response: httpx.Response, stream: EventStream, number: int) -> Told:
    """The JSON-RPC answer in the response; raises UnreadableAnswer for a success without one."""
    status, message = response.status_code, _message(response, stream, number)
    if message is None:
        if response.is_success:
            raise UnreadableAnswer("What came back is no answer to what was asked.")
        return Told(status, message=response.reason_phrase)
    error, result = message.get("error"), message.get("result")
    if isinstance(error, dict) and type(error.get("code")) is int:
        return Told(status, code=error["code"], message=str(error.get("message", "")))
    if not isinstance(result, dict) or not response.is_success:
        raise UnreadableAnswer("The answer is neither a result nor an error.")
    return Told(status, result=result)


def _message(response: httpx.Response, stream: EventStream, number: int) -> JsonObject | None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return stream.answer
    try:
        found = http.json_value(response)
    except UnreadableAnswer:
        if response.is_success:
            raise
        return None  # a gateway's refusal: what it says is not needed
    if not isinstance(found, dict):
        return None
    if response.is_error and found.get("id") is None and "error" in found:
        return found  # refused before anybody read its number
    return found if is_answer(found, number) else None


def _list_of(result: JsonObject, name: str) -> list[JsonObject]:
    found = result.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UnreadableAnswer(f"{name} is no list of objects.")
    return found


def _finished(result: JsonObject) -> ToolResult:
    """The result of a tool; raises UnreadableAnswer for what is none, or could not be kept."""
    try:
        canonical(result)
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise UnreadableAnswer("The result has no canonical form.") from error
    texts = [
        str(one.get("text", "")) for one in _list_of(result, "content") if one.get("type") == "text"
    ]
    is_error, structured = result.get("isError", False), result.get("structuredContent")
    if not isinstance(is_error, bool):
        raise UnreadableAnswer("isError is neither true nor false.")
    text = "\n".join(texts)
    return ToolResult(
        structured if isinstance(structured, dict) else {"text": text}, text, is_error
    )
