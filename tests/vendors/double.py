"""The base of the vendors' doubles: stateful, over real HTTP, and strict about every request.

A double knows no more than its vendor documents, and takes nothing else: not a key, a header or a
parameter that is not declared, not a number where text belongs. It keeps a book of what it applied,
counts the writes that arrived, and misbehaves as planned.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import jsonschema_rs
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request

from connectors.declared.file import Scheme
from connectors.sandbox.server import _WebThread
from connectors.sandbox.store import Json, Store, Transaction
from connectors.sandbox.web import Applied, Fault, Refusal, WebSystem

Said: TypeAlias = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]
"""What a view answers: status, body (None for an empty one), and headers."""

_EVERYBODYS_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length",
     "content-type", "authorization"}
)  # fmt: skip
_D = TypeVar("_D", bound="Double")
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


def closed(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Json:
    """The schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": sorted(required),
        "additionalProperties": False,
    }


TEXT: Json = {"type": "string"}


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """What a vendor takes at one address: anything that is not said here is refused."""

    method: str
    path: str  # as werkzeug writes it: /tickets/<ticket>
    view: Callable[..., Said]
    query: Collection[str] = ()
    headers: Collection[str] = ()
    body: Json | None = None
    """The JSON Schema of the body; None: there is none."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it arrived, and what was answered; for the vendor's own specification."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    status: int
    answer: Any


class Call:
    """One request as a view sees it."""

    def __init__(self, request: Request, form: Any, store: Transaction) -> None:
        self.query: Mapping[str, str] = request.args
        self.headers: Mapping[str, str] = {k.lower(): v for k, v in request.headers.items()}
        self.form = form
        self.store = store
        self._asked: Json = {"path": request.path, "query": dict(request.args), "body": form}

    def must_find(self, kind: str, name: str, sentence: str = "") -> Json:
        """The object of that name; the vendor's "not found" where there is none."""
        found = self.store.get(kind, name)
        if found is None:
            raise Refusal(404, "not_found", sentence or f"There is no {kind} {name}.")
        return found

    def change(self, kind: str, name: str, **values: object) -> Json:
        found = {**self.must_find(kind, name), **values}
        self.store.put(kind, name, found)
        return found

    def applied(self, kind: str, target: str, key: str = "") -> str:
        """Count one effect, with what was asked; its number."""
        number = str(self.store.next_number("effect"))
        self.store.applied(number, kind, target, key=key or number, detail=self._asked)
        return number


class Double(WebSystem):
    """A system of nobody's, for tests: misbehaves as planned, and is changed behind our back."""

    def plan(self, mode: str, seconds: float = 20.0, times: int = 1, **answer: Any) -> None:
        """Let the next writes meet this fault."""
        for method in _WRITES:
            self.faults.plan(Fault(mode, seconds, times, method=method, **answer))

    def plan_reads(self, mode: str, **answer: Any) -> None:
        self.faults.plan(Fault(mode, method="GET", **answer))

    @property
    def applied(self) -> list[Json]:
        """Every effect that really happened, oldest first."""
        return self.store.effects(self.name)

    def put(self, kind: str, name: str, body: Json) -> None:
        with self.store.transaction(self.name) as store:
            store.put(kind, name, body)

    def object(self, kind: str, name: str) -> Json:
        with self.store.transaction(self.name) as store:
            found = store.get(kind, name)
        assert found is not None
        return found

    def change(self, kind: str, name: str, **values: object) -> None:
        """As if somebody else had."""
        self.put(kind, name, {**self.object(kind, name), **values})


class Vendor(Double):
    """One vendor's API, as far as our file uses it."""

    credential: ClassVar[str] = "vendor-credential-0123456789"
    """What a connection of the file is given; `user:password` where the scheme is basic."""
    scheme: ClassVar[Scheme] = Scheme.BEARER
    key_form: ClassVar[str] = "^[0-9a-f]{64}$"
    """What the vendor takes for our key, as a pattern."""
    needs: ClassVar[Mapping[str, str]] = {}
    """Headers every request must have, each with its value."""
    unspecified: ClassVar[Mapping[str, str]] = {}
    """Keys that the vendor documents and its specification leaves out, each with where."""
    routes: ClassVar[tuple[Route, ...]]

    def __init__(self, store: Store) -> None:
        self.heard: list[Exchange] = []
        self._rules = Map(
            [Rule(one.path, methods=[one.method], endpoint=one) for one in self.routes]
        )
        super().__init__(store, self.credential, {})
        self.furnish()

    def reset(self) -> None:
        """Be as on the first start."""
        self.come_to_rest()
        self.store.empty()
        self.heard.clear()
        self.writes = 0
        self.furnish()

    def is_known(self, request: Request) -> bool:
        if self.scheme is Scheme.BASIC:
            wanted = f"Basic {base64.b64encode(self.credential.encode()).decode()}"
        else:
            wanted = f"Bearer {self.credential}"
        return request.headers.get("Authorization") == wanted

    def unknown(self) -> Refusal:
        """What a credential that is none is answered."""
        return Refusal(401, "unauthorized", "The credential is not valid.")

    def strange(self, sentence: str) -> Refusal:
        """What a request that is none of the vendor's is answered."""
        return Refusal(400, "bad_request", sentence)

    def _apply(self, request: Request) -> Applied:
        headers: Mapping[str, str] = {}
        try:
            if not self.is_known(request):
                raise self.unknown()
            route, arguments = self._rules.bind_to_environ(request.environ).match()
            form = self._strictly(route, request)
            with self.store.transaction(self.name) as transaction:
                status, body, *more = route.view(Call(request, form, transaction), **arguments)
            headers = more[0] if more else {}
        except Refusal as refusal:
            status, body = refusal.status, self.error(refusal.status, refusal.code, str(refusal))
        except HTTPException as error:
            status = error.code or 500
            body = self.error(status, "not_found", str(error.description))
        self.heard.append(
            Exchange(
                request.method,
                request.path,
                dict(request.args),
                _json_of(request.get_data(as_text=True)),
                status,
                body,
            )
        )
        return status, "" if body is None else json.dumps(body), headers

    def _strictly(self, route: Route, request: Request) -> Any:
        """The body of a request that is as the vendor takes it; raises Refusal."""
        known = _EVERYBODYS_HEADERS | {name.lower() for name in (*route.headers, *self.needs)}
        for name, _ in request.headers:
            if name.lower() not in known:
                raise self.strange(f"The header {name} means nothing here.")
        for name, value in self.needs.items():
            if request.headers.get(name) != value:
                raise self.strange(f"The header {name} is missing or wrong.")
        for name in request.args:
            if name not in route.query:
                raise self.strange(f"The parameter {name} means nothing here.")
        data = request.get_data()
        if route.body is None:
            if data:
                raise self.strange("No body is expected here.")
            return None
        if request.mimetype != "application/json":
            raise self.strange("The body must be application/json.")
        form = _json_of(data.decode())
        try:
            jsonschema_rs.validate(route.body, form)
        except jsonschema_rs.ValidationError as error:
            raise self.strange(f"{error.instance_path}: {error.message}") from error
        return form


def _json_of(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


@dataclass(slots=True)
class Running(Generic[_D]):
    """A double that is being served."""

    system: _D
    url: str
    _web: _WebThread = field(repr=False)

    def stop(self) -> None:
        self._web.stop()


def start(kind: Callable[[Store], _D], folder: Path) -> Running[_D]:
    """Serve it on loopback; whoever starts it stops it."""
    system = kind(Store(folder / "double.sqlite3"))
    web = _WebThread(system, 0)
    return Running(system, web.url, web)


@contextmanager
def running(kind: Callable[[Store], _D], folder: Path) -> Iterator[Running[_D]]:
    """It is served until the block ends."""
    found = start(kind, folder)
    try:
        yield found
    finally:
        found.stop()
