"""An MCP server that answers each method as it is told to, byte for byte, and counts the calls."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = tuple[int, str, bytes]
"""Status, content type and body."""
JSON, STREAM = "application/json", "text/event-stream"
TOOL: dict[str, Any] = {
    "name": "open",
    "description": "Opens a ticket.",
    "inputSchema": {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
    },
}
DONE = {"content": [{"type": "text", "text": "Opened."}], "isError": False}


@dataclass
class Odd:
    """Answers by method; what each gets is the message's number."""

    answers: dict[str, Callable[[int], Said]]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    stays_open: threading.Event = field(default_factory=threading.Event)
    """Streams are not closed before this is set."""

    def count(self, method: str) -> int:
        return sum(1 for one in self.asked if one.get("method") == method)


def result(value: Any, **more: Any) -> Callable[[int], Said]:
    def answer(number: int) -> Said:
        message = {"jsonrpc": "2.0", "id": number, "result": value, **more}
        return 200, JSON, json.dumps(message).encode()

    return answer


def error(code: int, status: int = 200, **more: Any) -> Callable[[int], Said]:
    def answer(number: int) -> Said:
        told = {"code": code, "message": "No."}
        message = {"jsonrpc": "2.0", "id": number, "error": told, **more}
        return status, JSON, json.dumps(message).encode()

    return answer


def plain(status: int, body: bytes = b"", kind: str = "text/html") -> Callable[[int], Said]:
    return lambda number: (status, kind, body)


def stream(*events: Any, end: bytes = b"") -> Callable[[int], Said]:
    """Each event as it is, or with the message's number in the place of NUMBER."""

    def answer(number: int) -> Said:
        told = [json.dumps(one).replace('"NUMBER"', str(number)) for one in events]
        return 200, STREAM, b"".join(f"data: {one}\r\n\r\n".encode() for one in told) + end

    return answer


def server_with(**answers: Callable[[int], Said]) -> Odd:
    """One with one tool; `call`, `list`, `discover`, `initialize` replace what it says to each."""
    modern = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
    usual = {
        "server/discover": answers.get("discover", result(modern)),
        "initialize": answers.get("initialize", result({"protocolVersion": "2025-06-18"})),
        "notifications/initialized": plain(202),
        "tools/list": answers.get("list", result({"tools": [TOOL]})),
        "tools/call": answers.get("call", result(DONE)),
    }
    return Odd(usual)


@contextmanager
def serving(odd: Odd) -> Iterator[Odd]:
    """Serve it on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            odd.asked.append(message)
            odd.headers.append(dict(self.headers))
            status, kind, body = odd.answers[message["method"]](message.get("id", 0))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            if kind != STREAM:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            if kind == STREAM:
                odd.stays_open.wait(20)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: it is what tests read that counts."""

    odd.stays_open.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        odd.url = f"http://127.0.0.1:{server.server_address[1]}/mcp"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield odd
        finally:
            odd.stays_open.set()
            server.shutdown()
            thread.join()
