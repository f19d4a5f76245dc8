"""What every HTTP system of the sandbox shares: routing, bearer auth, idempotency, planned faults.

`GET /_effects`, `POST /_faults` and `DELETE /_faults` need no credentials: they are the test bench,
not the system.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from connectors.sandbox.store import Answer, Json, Store, Transaction

MODES = frozenset(
    {
        "apply_then_hang",  # the effect happens, the answer comes `seconds` late
        "apply_then_500",  # the effect happens, the answer says it failed
        "apply_then_reset",  # the effect happens, the connection breaks
        "half_body",  # the effect happens, the answer stops in the middle
        "trickle",  # the effect happens, the answer comes a byte at a time over `seconds`
        "error_500",  # nothing happens, 500
        "reset",  # nothing happens, the connection breaks
        "slow",  # all goes well, `seconds` late
        "refuse",  # nothing happens, a definite refusal
        "busy",  # nothing happens, "try again later"
        "answer",  # nothing happens, and the answer is as planned
        "apply_then_answer",  # the effect happens, and the answer is as planned
    }
)
_WRITES_ONLY = frozenset(
    {"apply_then_hang", "apply_then_500", "apply_then_reset", "apply_then_answer"}
)


@dataclass(slots=True)
class Fault:
    """One planned fault; matches requests whose path begins with `path`."""

    mode: str
    seconds: float = 30.0
    times: int = 1
    path: str = "/"
    method: str = ""  # any, when empty
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    """The planned answer, where `mode` plans one."""

    @classmethod
    def parse(cls, body: Any) -> Fault:
        """Read the body of `POST /_faults`; raises ValueError naming what is wrong."""
        if not isinstance(body, dict) or body.get("mode") not in MODES:
            raise ValueError(f"mode must be one of: {', '.join(sorted(MODES))}")
        return cls(
            mode=body["mode"],
            seconds=float(body.get("seconds", 30.0)),
            times=int(body.get("times", 1)),
            path=str(body.get("path", "/")),
            method=str(body.get("method", "")).upper(),
            status=int(body.get("status", 503)),
            headers={str(name): str(value) for name, value in body.get("headers", {}).items()},
            body=str(body.get("body", "")),
        )

    def matches(self, method: str, path: str) -> bool:
        if not path.startswith(self.path) or self.method not in {"", method}:
            return False
        return method not in {"GET", "HEAD"} or self.mode not in _WRITES_ONLY


class Faults:
    """The faults planned for one system; gone after a restart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[Fault] = []

    def plan(self, fault: Fault) -> None:
        with self._lock:
            self._planned.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault this request meets, used up once; None for ordinary service."""
        with self._lock:
            for fault in self._planned:
                if fault.matches(method, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._planned.remove(fault)
                    return fault
        return None


if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

View = Callable[..., tuple[int, Json]]
Applied: TypeAlias = tuple[int, str, Mapping[str, str]]
"""Status, body and headers of an answer."""


class Refusal(Exception):
    """A definite answer of the system that nothing happened; rolls the transaction back."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Call:
    """One request as a view sees it."""

    def __init__(self, request: Request, form: Json, store: Transaction) -> None:
        self.query: Mapping[str, str] = request.args
        self.form = form
        self.headers = request.headers
        self.key = request.headers.get("Idempotency-Key", "")
        self.store = store


class WebSystem:
    """A WSGI application playing one outside system; an empty token means no credentials."""

    name: ClassVar[str]

    def __init__(self, store: Store, token: str, routes: Mapping[tuple[str, str], View]) -> None:
        self.store = store
        self.faults = Faults()
        self.writes = 0  # requests that arrived and were to change something, applied or not
        self.hurry = threading.Event()  # set: nobody hangs on purpose any longer
        self._serving = 0
        self._idle = threading.Condition()
        self._token = token
        self._routes = Map(
            [Rule(path, methods=[method], endpoint=view) for (method, path), view in routes.items()]
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        request = Request(environ)
        if request.path.startswith("/_"):
            return self._bench(request)(environ, start_response)
        with self._idle:
            self._serving += 1
        try:
            response = self._serve(request)
        finally:
            with self._idle:
                self._serving -= 1
                self._idle.notify_all()
        return response(environ, start_response)

    def furnish(self) -> None:
        """Lay out the demo world once; a restart finds it as it was left."""

    def come_to_rest(self) -> None:
        """Forget planned faults, and return when no request is being applied any more."""
        self.faults.clear()
        self.hurry.set()
        with self._idle:
            self._idle.wait_for(lambda: self._serving == 0)
        self.hurry.clear()

    def error(self, status: int, code: str, message: str) -> Json:
        """The body of a refusal, in this system's own shape."""
        return {"status": status, "code": code, "detail": message}

    def parse(self, request: Request) -> Json:
        """The request's body, in this system's own encoding."""
        if not request.get_data():
            return {}
        try:
            body = json.loads(request.get_data())
        except ValueError:
            raise Refusal(400, "malformed", "The body is not JSON.") from None
        if not isinstance(body, dict):
            raise Refusal(400, "malformed", "The body is not a JSON object.")
        return body

    def effects(self, system: str) -> list[Json]:
        """What `/_effects` lists; `system` is the query's, "" for this one."""
        return self.store.effects(system or self.name)

    def _bench(self, request: Request) -> Response:
        if (request.method, request.path) == ("GET", "/_effects"):
            return _json(200, self.effects(request.args.get("system", "")))
        if (request.method, request.path) == ("POST", "/_faults"):
            try:
                self.faults.plan(Fault.parse(json.loads(request.get_data())))
            except (ValueError, TypeError) as error:
                return _json(400, {"detail": str(error)})
            return _json(201, {})
        if (request.method, request.path) == ("DELETE", "/_faults"):
            self.faults.clear()
            return _json(200, {})
        if (request.method, request.path) == ("GET", "/_health"):
            return _json(200, {"system": self.name})
        return _json(404, {"detail": "Not found."})

    def _serve(self, request: Request) -> Response:
        request.get_data()  # what is left unread would be taken for the next request
        self.writes += request.method not in {"GET", "HEAD"}
        fault = self.faults.take(request.method, request.path)
        mode = fault.mode if fault else ""
        if fault and mode == "slow":
            self.hurry.wait(fault.seconds)
        if mode == "error_500":
            return _json(500, self.error(500, "internal", "Planned failure; nothing happened."))
        if mode == "refuse":
            return _json(400, self.error(400, "refused", "Planned refusal; nothing happened."))
        if mode == "busy":
            return _json(429, self.error(429, "rate_limit", "Planned overload; try again."))
        if mode == "reset":
            _reset(request)
        if fault and mode == "answer":
            return _planned(fault)
        status, body, headers = self._apply(request)
        if fault and mode == "apply_then_hang":
            self.hurry.wait(fault.seconds)
        if mode == "apply_then_500":
            return _json(500, self.error(500, "internal", "Planned failure; it happened."))
        if mode == "apply_then_reset":
            _reset(request)
        if fault and mode == "apply_then_answer":
            return _planned(fault)
        if mode == "half_body":
            return _half(status, body, headers)
        if fault and mode == "trickle":
            return _trickle(status, body, headers, fault.seconds, self.hurry)
        return Response(body, status=status, headers=dict(headers), mimetype="application/json")

    def is_known(self, request: Request) -> bool:
        """Whether the request shows a credential of ours."""
        return not self._token or request.headers.get("Authorization") == f"Bearer {self._token}"

    def _apply(self, request: Request) -> Applied:
        """Answer the request; a write and its remembered answer commit together."""
        try:
            if not self.is_known(request):
                raise Refusal(401, "unauthorized", "The bearer token is not valid.")
            view, arguments = self._routes.bind_to_environ(request.environ).match()
            form = self.parse(request)
            asked = json.dumps([request.method, request.path, form], sort_keys=True)
            with self.store.transaction(self.name) as transaction:
                call = Call(request, form, transaction)
                if call.key and (earlier := transaction.answer(call.key)):
                    if earlier.request != asked:
                        raise Refusal(*self.mismatch)
                    return earlier.status, earlier.body, {}
                status, body = view(call, **arguments)
                text = json.dumps(body)
                if call.key and request.method != "GET":
                    transaction.remember(call.key, Answer(asked, status, text))
                return status, text, {}
        except Refusal as refusal:
            body = self.error(refusal.status, refusal.code, str(refusal))
            return refusal.status, json.dumps(body), {}
        except HTTPException as error:
            status = error.code or 500
            return status, json.dumps(self.error(status, "not_found", str(error.description))), {}

    # Same key, other request: what the IETF draft on Idempotency-Key says to answer.
    mismatch: ClassVar[tuple[int, str, str]] = (
        422,
        "idempotency_mismatch",
        "This idempotency key was used with another request.",
    )


def _json(status: int, body: Json | list[Json]) -> Response:
    return Response(json.dumps(body), status=status, mimetype="application/json")


def _planned(fault: Fault) -> Response:
    kind = "application/json" if fault.body[:1] in {"{", "["} else "text/plain"
    return Response(fault.body, fault.status, dict(fault.headers), mimetype=kind)


def _half(status: int, body: str, headers: Mapping[str, str]) -> Response:
    whole = body.encode()
    response = Response(
        whole[: len(whole) // 2], status=status, headers=dict(headers), mimetype="application/json"
    )
    response.automatically_set_content_length = False
    response.headers["Content-Length"] = str(len(whole))
    return response


def _trickle(
    status: int, body: str, headers: Mapping[str, str], seconds: float, hurry: threading.Event
) -> Response:
    whole = body.encode()

    def drops() -> Iterator[bytes]:
        for byte in whole:
            hurry.wait(seconds / len(whole))
            yield bytes([byte])

    response = Response(drops(), status=status, headers=dict(headers), mimetype="application/json")
    response.headers["Content-Length"] = str(len(whole))
    return response


def _reset(request: Request) -> NoReturn:
    """Break the connection with a TCP reset, as a crashing server or a middlebox would."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError("Planned reset.")  # the server closes without answering
