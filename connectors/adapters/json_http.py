"""Any system that speaks JSON over HTTP with a bearer token, described by data instead of code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx

from audit.lib.canonical import JsonObject, JsonValue, canonical, digest_of
from connectors import http
from connectors.base import (
    Action,
    ConnectorError,
    DispatchingConnector,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    compare,
)
from connectors.http import UnreadableAnswer


@dataclass(frozen=True, slots=True)
class EvidenceRead:
    """One more record of the target that reviewers should see."""

    kind: str
    title: str  # may name params: "User {user}"
    path: str


def _id_and_previous(answer: JsonObject) -> tuple[str, JsonObject]:
    """The reference and the replaced state, where an answer has them at its top level."""
    reference, previous = answer.get("id"), answer.get("previous", {})
    if not isinstance(reference, str) or not reference or not isinstance(previous, Mapping):
        raise UnreadableAnswer("The answer names no id.")
    return reference, previous


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One action type on the wire.

    Paths name params as `{name}` (`{reference}` is the receipt's); each is quoted, so a value can
    never become another path. `state` and `wanted` speak of the same keys: what the target says
    now, and what it must say afterwards.
    """

    method: str
    path: str
    body: Callable[[JsonObject], JsonObject]
    read_path: str
    state: Callable[[JsonObject, JsonObject], JsonObject]  # (answer, params)
    wanted: Callable[[JsonObject], JsonObject]
    undo: Callable[[JsonObject, Receipt], Action]  # raises `cannot_undo(...)` where it cannot
    summary: Callable[[JsonObject], str]
    receipt: Callable[[JsonObject], tuple[str, JsonObject]] = _id_and_previous
    verify_path: str = ""  # where the effect is read back; `read_path` when empty
    verify_state: Callable[[JsonObject, JsonObject], JsonObject] | None = None
    evidence: tuple[EvidenceRead, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSystem:
    """One system: its action types, and what its idempotency promises.

    Every write carries `Idempotency-Key`; `lookup_path?idempotency_key=...` answers
    `{"changes": [...]}` with the write's own answer, or none.
    """

    system: str
    lookup_path: str
    key_window_seconds: int
    exchanges: Mapping[str, Exchange] = field(default_factory=dict)


def record_of(answer: JsonObject, *names: str) -> dict[str, JsonValue]:
    """Those fields of an answer; raises UnreadableAnswer when one is missing."""
    try:
        return {name: answer[name] for name in names}
    except KeyError as error:
        raise UnreadableAnswer(f"The answer has no {error}.") from error


_PLACE = re.compile(r"\{([a-z_]+)\}", re.ASCII)


class HttpSystemClient:
    """Reads and writes of one system. One call, one deadline."""

    def __init__(self, system: str, base_url: str, token: str) -> None:
        self._system = system
        self._base_url = base_url.rstrip("/")
        self._token = token

    def read(self, template: str, values: JsonObject) -> JsonObject:
        """GET a record. Raises ConnectorError."""
        url = self._base_url + fill(template, values)
        with http.reading(self._system), self._open() as client:
            response = client.get(url)
            if response.status_code != 200:
                http.refuse_read(self._system, response.status_code, *self._problem(response))
            return http.json_object(response)

    def write(
        self, method: str, template: str, values: JsonObject, body: JsonObject, key: str
    ) -> JsonObject:
        """Make one change, once per key. Raises ConnectorError or OutcomeUnknown."""
        url = self._base_url + fill(template, values)
        with http.writing(self._system), self._open() as client:
            response = client.request(
                method,
                url,
                content=canonical(body).encode(),
                headers={"Content-Type": "application/json", "Idempotency-Key": key},
            )
            if not response.is_success:
                http.refuse_write(self._system, response.status_code, *self._problem(response))
            return http.json_object(response)

    def _open(self) -> httpx.Client:
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return http.open_client(headers=headers)

    def _problem(self, response: httpx.Response) -> tuple[str, str]:
        """What the system says is wrong, and its code: RFC 9457, or SCIM's error (RFC 7644)."""
        try:
            body = http.json_object(response)
        except http.UnreadableAnswer:
            body = {}
        code = body.get("code") or body.get("scimType") or ""
        detail = str(body.get("detail") or response.reason_phrase)
        return http.redact(detail, self._token), str(code)


def fill(template: str, values: Mapping[str, object]) -> str:
    """The path with each `{name}` replaced by its quoted value.

    Raises ConnectorError(permanent=True) for a value that is no plain path segment: "", "." and
    ".." survive quoting and would move to another path.
    """

    def segment(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if not isinstance(value, str) or value in {"", ".", ".."} or "\x00" in value:
            raise ConnectorError(
                f"{match[1]} cannot be part of an address.", permanent=True, code="bad_path"
            )
        return quote(value, safe="")

    return _PLACE.sub(segment, template)


class HttpConnector(DispatchingConnector):
    """A system with idempotency keys (IETF draft Idempotency-Key) that remembers them for good."""

    idempotent = True
    can_look_up = True

    def __init__(self, spoken: HttpSystem, base_url: str, token: str) -> None:
        self.system = spoken.system
        self.key_window_seconds = spoken.key_window_seconds
        client = HttpSystemClient(spoken.system, base_url, token)
        super().__init__(
            {key: _Spoken(client, exchange, spoken) for key, exchange in spoken.exchanges.items()}
        )


class _Spoken:
    def __init__(self, client: HttpSystemClient, exchange: Exchange, spoken: HttpSystem) -> None:
        self._client = client
        self._exchange = exchange
        self._spoken = spoken

    def preview(self, action: Action) -> Preview:
        params = action.params
        answer = self._client.read(self._exchange.read_path, params)
        with http.reading(self._spoken.system):
            before = self._exchange.state(answer, params)
        return Preview(
            before=before,
            after=self._exchange.wanted(params),
            target_version=digest_of(before),
            evidence=tuple(
                SystemEvidence(
                    read.kind,
                    read.title.format_map({name: str(value) for name, value in params.items()}),
                    self._client.read(read.path, params),
                )
                for read in self._exchange.evidence
            ),
        )

    def execute(self, action: Action, key: str) -> Receipt:
        exchange, params = self._exchange, action.params
        answer = self._client.write(
            exchange.method, exchange.path, params, exchange.body(params), key
        )
        with http.writing(self._spoken.system):
            return self._receipt(answer, params)

    def look_up(self, action: Action, key: str) -> Receipt | None:
        path = self._spoken.lookup_path + fill("?idempotency_key={key}", {"key": key})
        answer = self._client.read(path, {})
        changes = answer.get("changes")
        with http.reading(self._spoken.system):
            if not isinstance(changes, list):
                raise http.UnreadableAnswer("The answer lists no changes.")
            if not changes:
                return None
            (change,) = changes
            if not isinstance(change, Mapping):
                raise http.UnreadableAnswer("A change is not an object.")
            return self._receipt(change, action.params)

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        exchange = self._exchange
        values: JsonObject = {**action.params, "reference": receipt.reference}
        try:
            answer = self._client.read(exchange.verify_path or exchange.read_path, values)
        except ConnectorError as error:
            if error.code not in {"not_found", "http_404"}:
                raise
            return ReadBack({}, ("The target has no such record any more.",))
        with http.reading(self._spoken.system):
            observed = (exchange.verify_state or exchange.state)(answer, action.params)
        return ReadBack(observed, compare(exchange.wanted(action.params), observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        return self._exchange.undo(action.params, receipt)

    def _receipt(self, answer: JsonObject, params: JsonObject) -> Receipt:
        reference, previous = self._exchange.receipt(answer)
        return Receipt(
            reference,
            self._exchange.summary(params),
            {"system": self._spoken.system},
            previous,
        )
