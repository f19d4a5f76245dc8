"""A server that answers as it is told to, over HTTP, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], Any]
HANG_UP: Reply = (0, {}, None)


@dataclass
class Asked:
    """One call as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes = b""


@dataclass
class Told:
    """The answers to give, in order (the last one again and again), and the calls so far."""

    url: str
    replies: list[Reply]
    asked: list[Asked] = field(default_factory=list)


def an_action(**fields: Any) -> dict[str, Any]:
    """A request as the API tells it, as far as the client looks."""
    return {
        "id": "0199aaaa-0000-7000-8000-000000000001",
        "state": "pending_approval",
        "outcome": "open",
        "final": False,
        "message": "NOT done yet: people decide.",
        "poll_after": 2,
        **fields,
    }


def done(**fields: Any) -> dict[str, Any]:
    """One that was carried out."""
    return an_action(state="audited", outcome="done", final=True, message="Done.", **fields)


def problem(status: int, code: str, detail: str = "No.", **headers: str) -> Reply:
    """Problem details (RFC 9457)."""
    told = {"Content-Type": "application/problem+json", **headers}
    return status, told, {"status": status, "code": code, "detail": detail}


def ok(body: Any, status: int = 200, **headers: str) -> Reply:
    """An answer as the API gives it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {"Content-Type": "application/json", **named}, body


@contextmanager
def answering(*replies: Reply) -> Iterator[Told]:
    """Serve these answers on a port of this machine."""
    told = Told("", list(replies))

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw else None
            told.asked.append(Asked(self.command, self.path, dict(self.headers), body, raw))
            reply = told.replies.pop(0) if len(told.replies) > 1 else told.replies[0]
            status, headers, content = reply
            if reply is HANG_UP:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: it is what tests read that counts."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
