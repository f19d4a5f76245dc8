"""A stream of server-sent events, read for the one message that answers a request."""

from __future__ import annotations

import json

from audit.lib.canonical import JsonObject


class EventStream:
    """The events of one answer (`text/event-stream`), as its parts arrive.

    Whatever else the server says meanwhile (progress, logs, questions of its own) is passed over,
    and so is what is no JSON: then the answer never came.
    """

    def __init__(self, number: int) -> None:
        self.answer: JsonObject | None = None
        self._number = number
        self._unread = b""
        self._data: list[bytes] = []

    def feed(self, part: bytes) -> bool:
        """Read the next part; whether the answer has arrived, and nothing more is waited for."""
        *lines, self._unread = (self._unread + part).split(b"\n")
        for line in lines:
            self._take(line.removesuffix(b"\r"))
        return self.answer is not None

    def _take(self, line: bytes) -> None:
        if not line:
            data, self._data = b"\n".join(self._data), []
            self.answer = self.answer or _answer_in(data, self._number)
        elif line.startswith(b"data:"):
            self._data.append(line.removeprefix(b"data:").removeprefix(b" "))


def is_answer(message: object, number: int) -> bool:
    """Whether it is the JSON-RPC answer to the request of that number."""
    return (
        isinstance(message, dict)
        and message.get("jsonrpc") == "2.0"
        and type(message.get("id")) is int
        and message["id"] == number
        and ("result" in message) != ("error" in message)
    )


def _answer_in(data: bytes, number: int) -> JsonObject | None:
    try:
        message = json.loads(data) if data else None
    except (ValueError, RecursionError):
        return None
    return message if is_answer(message, number) else None
