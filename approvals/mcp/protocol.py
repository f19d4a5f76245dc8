"""What the Model Context Protocol demands of a message before anybody looks at its meaning.

Revision 2026-07-28 says version and capabilities in every request, and repeats them in headers.
The revisions before it begin with `initialize`; no session is kept for them either.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from approvals.proposal import Signature
from audit.lib.canonical import JsonObject

MODERN = "2026-07-28"
LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25")
"""Those that begin with `initialize`, the oldest first."""

TASKS = "io.modelcontextprotocol/tasks"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
SERVER_INFO_KEY = "io.modelcontextprotocol/serverInfo"
IDEMPOTENCY_KEY = "io.countersign/idempotencyKey"

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION = -32020, -32021, -32022

_NAMED_BY = {
    "tools/call": "name",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""By method, which of its params the header Mcp-Name repeats."""
_ENCODED = ("=?base64?", "?=")


class ProtocolError(Exception):
    """A JSON-RPC error; `status` is what the modern revision answers with over HTTP."""

    def __init__(
        self, code: int, message: str, *, status: int = 400, data: JsonObject | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.data = code, message, status, data


@dataclass(frozen=True, slots=True)
class Call:
    """One message of a client, its envelope checked."""

    method: str
    params: Mapping[str, Any]
    id: str | int | float | None
    """None: a notification, which gets no answer."""
    version: str
    signature: Signature | None = None
    """Of the whole message, by the agent that sent it."""

    def signed(self, signature: Signature | None) -> Call:
        """With the signature of the HTTP message it came in."""
        return replace(self, signature=signature)

    @property
    def is_modern(self) -> bool:
        return self.version == MODERN

    @property
    def meta(self) -> Mapping[str, Any]:
        found = self.params.get("_meta")
        return found if isinstance(found, Mapping) else {}

    @property
    def takes_tasks(self) -> bool:
        """Whether the client said, with this request, that it follows tasks."""
        capabilities = self.meta.get(CAPABILITIES_KEY) if self.is_modern else None
        extensions = capabilities.get("extensions") if isinstance(capabilities, Mapping) else None
        return isinstance(extensions, Mapping) and TASKS in extensions

    @property
    def shows_links(self) -> bool:
        """Whether its revision knows links to resources in a result."""
        return self.version != LEGACY[0]


def read(body: Any, headers: Mapping[str, str]) -> Call:
    """The message, if its envelope is as its revision wants it. Raises ProtocolError."""
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise ProtocolError(INVALID_REQUEST, "Send one JSON-RPC 2.0 message.")
    method, params, id_ = body.get("method"), body.get("params", {}), body.get("id")
    if not isinstance(method, str) or not isinstance(params, dict):
        raise ProtocolError(INVALID_REQUEST, "method is text and params an object.")
    if isinstance(id_, bool) or not isinstance(id_, str | int | float | None):
        raise ProtocolError(INVALID_REQUEST, "id is text or a number.")
    if "id" not in body and not method.startswith("notifications/"):
        raise ProtocolError(INVALID_REQUEST, "A request has an id.")
    said = headers.get("MCP-Protocol-Version")
    meta = params.get("_meta")
    is_legacy = said is None or said in LEGACY
    if is_legacy and not (isinstance(meta, dict) and VERSION_KEY in meta):
        return Call(method, params, id_, said or LEGACY[0])
    _demand_envelope(method, params, meta, headers)
    return Call(method, params, id_, MODERN)


def _demand_envelope(
    method: str, params: Mapping[str, Any], meta: Any, headers: Mapping[str, str]
) -> None:
    """What 2026-07-28 wants to be said in every request, and said alike in its headers."""
    if not isinstance(meta, dict) or not {VERSION_KEY, CAPABILITIES_KEY} <= set(meta):
        raise ProtocolError(
            INVALID_PARAMS, f"params._meta must have {VERSION_KEY} and {CAPABILITIES_KEY}."
        )
    version = meta[VERSION_KEY]
    if headers.get("MCP-Protocol-Version") != version:
        raise ProtocolError(HEADER_MISMATCH, "MCP-Protocol-Version is not what _meta says.")
    if headers.get("Mcp-Method") != method:
        raise ProtocolError(HEADER_MISMATCH, "Mcp-Method is not the method of the message.")
    named_by = _NAMED_BY.get(method)
    if named_by and _decoded(headers.get("Mcp-Name")) != params.get(named_by):
        raise ProtocolError(HEADER_MISMATCH, f"Mcp-Name is not params.{named_by}.")
    if version != MODERN:
        supported: JsonObject = {"supported": [MODERN, *reversed(LEGACY)], "requested": version}
        raise ProtocolError(UNSUPPORTED_VERSION, "Unsupported protocol version", data=supported)
    if not isinstance(meta[CAPABILITIES_KEY], dict):
        raise ProtocolError(INVALID_PARAMS, f"{CAPABILITIES_KEY} is an object.")


def _decoded(header: str | None) -> str | None:
    """What a header says; text that fits no header travels in base64."""
    begin, end = _ENCODED
    if header is None or not (header.startswith(begin) and header.endswith(end)):
        return header
    try:
        return b64decode(header[len(begin) : -len(end)], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def missing_tasks() -> ProtocolError:
    """The client uses tasks without having said that it knows them."""
    needed: JsonObject = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    return ProtocolError(MISSING_CAPABILITY, "Missing required client capability", data=needed)
