"""Carries out any action type an `Exchange` describes."""

from __future__ import annotations

from collections.abc import Mapping

from audit.canonical import JsonObject, digest_of
from connectors import http
from connectors.adapters.http.actions import Exchange, HttpSystem
from connectors.adapters.http.client import HttpSystemClient, fill
from connectors.base import Action, ConnectorError, Preview, ReadBack, Receipt
from connectors.dispatch import DispatchingConnector, compare, read_now


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
                read_now(
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
