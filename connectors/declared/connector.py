"""Carrying out what a system's file declares: JSON over HTTP, one write a call.

Whatever a call needs is asked over one client, whose requests together end in time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from fnmatch import fnmatch
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from audit.lib.canonical import JsonObject, JsonValue, canonical, digest_of
from connectors import http
from connectors.addresses import is_trusted_relay
from connectors.base import (
    Action,
    ConnectorError,
    DispatchingConnector,
    OutcomeUnknown,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    cannot_undo,
    compare,
)
from connectors.catalogue import Proof
from connectors.declared.expressions import Expression, NoValue, Template, Values
from connectors.declared.file import (
    AnswerRule,
    Card,
    KeyForm,
    Meaning,
    Operation,
    Scheme,
    SystemFile,
)
from connectors.http import UnreadableAnswer

_LONGEST_TITLE = 200  # characters
_GOOD = (None, Meaning.DONE, Meaning.ALREADY_SO)


class DeclaredConnector(DispatchingConnector):
    """One connection of a system that is a file."""

    def __init__(self, file: SystemFile, base_url: str, credential: str) -> None:
        self.system = file.card.system
        wire = _Wire(file, base_url.rstrip("/"), credential)
        super().__init__({one.type.key: _Declared(wire, one) for one in file.operations})


def is_allowed_host(card: Card, address: str) -> bool:
    """Whether the file lets a connection have that address; no list lets any.

    A relay of the installation's own may stand before every system.
    """
    host = urlsplit(address).hostname or ""
    is_named = any(fnmatch(host, pattern) for pattern in card.hosts)
    return not card.hosts or is_named or is_trusted_relay(address)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back, as expressions see it."""

    status: int
    headers: Mapping[str, str]
    body: JsonValue
    reason: str

    def over(self, values: Values) -> Values:
        return replace(values, status=self.status, headers=self.headers, body=self.body)


@dataclass(frozen=True, slots=True)
class _Wire:
    """Reads and writes of one system."""

    file: SystemFile
    base_url: str
    credential: str = field(repr=False)

    @property
    def system(self) -> str:
        return self.file.card.title

    def read(self, client: httpx.Client, path: Template, values: Values) -> _Answer:
        """GET a record, whatever the status. Raises ConnectorError.

        The system's table counts for what is no record although its status says so, and for being
        busy; what any other status means, the caller knows.
        """
        url = self._url(path, values)
        with http.reading(self.system):
            answer = _answer(client.get(url))
        meaning = self._listed(self.file.answers.rules, answer)
        is_denied = 200 <= answer.status < 300 and meaning not in _GOOD
        if meaning is Meaning.BUSY or is_denied:
            message, code = self._said(answer)
            raise ConnectorError(
                f"{self.system} answered {answer.status}: {message}",
                permanent=meaning in (Meaning.REFUSED, Meaning.CONFLICT),
                code=code or f"http_{answer.status}",
                retry_after=self._pause(self.file.answers.rules, answer),
            )
        return answer

    def record(self, client: httpx.Client, path: Template, values: Values) -> Values:
        """GET a record that must be there. Raises ConnectorError."""
        answer = self.read(client, path, values)
        if answer.status != 200:
            message, code = self._said(answer)
            http.refuse_read(self.system, answer.status, message, code)
        return answer.over(values)

    def write(
        self, client: httpx.Client, operation: Operation, values: Values
    ) -> tuple[Meaning, _Answer]:
        """Make one change. Raises ConnectorError or OutcomeUnknown."""
        write = operation.write
        url = self._url(write.path, values)
        with _sendable(self.system):
            filled = ((name, template.header(values)) for name, template in write.headers)
            headers = {name: value for name, value in filled if value}
            content = b""
            if write.body is not None:
                content = canonical(_present(write.body.of(values))).encode()
                headers = {"Content-Type": "application/json", **headers}
        with http.writing(self.system):
            answer = _answer(client.request(write.method, url, content=content, headers=headers))
        meaning = self._meaning(operation, answer)
        if meaning not in _GOOD:
            raise self._refusal(operation, meaning, answer)
        return meaning, answer

    def _rules(self, operation: Operation) -> tuple[AnswerRule, ...]:
        return (*operation.write.answers, *self.file.answers.rules)

    def _listed(self, rules: Iterable[AnswerRule], answer: _Answer) -> Meaning | None:
        """What the first line that holds says; None where none does."""
        for rule in rules:
            try:
                if rule.when.of(answer.over(Values({}))):
                    return rule.means
            except NoValue:  # nobody knows what the answer says
                return Meaning.UNKNOWN
        return None

    def _meaning(self, operation: Operation, answer: _Answer) -> Meaning:
        """By the first line of the tables that holds; without one, by the status (RFC 9110)."""
        listed = self._listed(self._rules(operation), answer)
        if listed is not None:
            return listed
        if 200 <= answer.status < 300:
            return Meaning.DONE
        if answer.status in {425, 429}:
            return Meaning.BUSY
        if answer.status in {409, 412}:
            return Meaning.CONFLICT
        is_refusal = 400 <= answer.status < 500 and answer.status != 408
        return Meaning.REFUSED if is_refusal else Meaning.UNKNOWN

    def _refusal(
        self, operation: Operation, meaning: Meaning, answer: _Answer
    ) -> ConnectorError | OutcomeUnknown:
        message, code = self._said(answer)
        sentence = f"{self.system} answered {answer.status}: {message}"
        if meaning is Meaning.UNKNOWN:
            return OutcomeUnknown(sentence)
        if meaning is Meaning.BUSY:
            pause = self._pause(self._rules(operation), answer)
            return ConnectorError(sentence, permanent=False, code=code or "busy", retry_after=pause)
        code = "conflict" if meaning is Meaning.CONFLICT else code or f"http_{answer.status}"
        return ConnectorError(sentence, permanent=True, code=code)

    def _pause(self, rules: Iterable[AnswerRule], answer: _Answer) -> timedelta | None:
        values = answer.over(Values({}))
        for rule in rules:
            if rule.retry_after is not None:
                try:
                    if rule.when.of(values):
                        return timedelta(seconds=rule.retry_after.of(values))
                except (NoValue, OverflowError):
                    continue
        return _retry_after(answer.headers)

    def _said(self, answer: _Answer) -> tuple[str, str]:
        """What the system says is wrong, and its code for it."""
        values = answer.over(Values({}))
        message = _maybe(self.file.answers.message, values) or answer.reason
        # a part of it alone, such as a password, is as secret
        secrets = (self.credential, self.credential.rpartition(":")[2])
        return http.redact(message, *secrets), _maybe(self.file.answers.code, values)

    def _url(self, path: Template, values: Values) -> str:
        with _sendable(self.system, code="bad_path"):
            return self.base_url + path.path(values)

    def open(self) -> httpx.Client:
        """A client that shows who we are; raises ConnectorError where the file forbids that."""
        card = self.file.card
        if not is_allowed_host(card, self.base_url):
            raise ConnectorError(
                f"{card.title} may not be at this address; nothing was sent.",
                permanent=True,
                code="misconfigured",
            )
        headers = {"Accept": "application/json", **dict(card.headers)}
        scheme = card.authentication.scheme if self.credential else Scheme.NONE
        if scheme is Scheme.BEARER:
            headers["Authorization"] = f"Bearer {self.credential}"
        elif scheme is Scheme.BASIC:
            encoded = base64.b64encode(self.credential.encode()).decode()
            headers["Authorization"] = f"Basic {encoded}"
        elif scheme is Scheme.HEADER:
            headers[card.authentication.header] = self.credential
        return http.open_client(headers=headers)


class _Declared:
    """One operation of the file; promises what `connectors.base.Operation` does."""

    def __init__(self, wire: _Wire, operation: Operation) -> None:
        self._wire = wire
        self._operation = operation

    def preview(self, action: Action) -> Preview:
        read, values = self._operation.read, Values(action.params)
        with self._wire.open() as client:
            found = self._wire.record(client, read.path, values)
            evidence, found = self._with_evidence(client, found)
        with _answered(self._wire.system):
            before = read.before.of(found)
            refusals = (one.says.sentence(found) for one in read.refusals if one.when.of(found))
            refused = next(refusals, "")
            return Preview(
                before=before,
                after={"problem": refused} if refused else self._operation.after.of(values),
                target_version=digest_of(before),
                guard=read.guard.of(found) if read.guard else "",
                evidence=evidence,
                offered={fact.name: fact.value.of(found) for fact in self._operation.facts},
            )

    def _with_evidence(
        self, client: httpx.Client, target: Values
    ) -> tuple[tuple[SystemEvidence, ...], Values]:
        """What else reviewers see, and the target with those of it that have a name."""
        shown, records = [], dict[str, JsonValue]()
        for one in self._operation.read.evidence:
            values = replace(target, records=records)
            with _answered(self._wire.system):
                if one.when is not None and not one.when.of(values):
                    continue
            found = self._wire.record(client, one.path, values)
            with _answered(self._wire.system):
                body = found.body
                if not isinstance(body, dict):
                    raise UnreadableAnswer("The record is no JSON object.")
                title = one.title.sentence(found)[:_LONGEST_TITLE]
                shown.append(SystemEvidence(one.kind, title, body))
            if one.name:
                records = {**records, one.name: body}
        return tuple(shown), replace(target, records=records)

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        write, values = self._operation.write, self._values(action, key, guard)
        # a settled write carries the version of targets that announce one, and goes without
        if self._operation.type.at_most_once.proof is Proof.GUARDED and not guard:
            raise ConnectorError(
                "The target's version is not known, and the write must carry it; nothing was sent.",
                permanent=True,
                code="no_guard",
            )
        before: JsonObject = {}
        with self._wire.open() as client:
            if write.previous is None:
                found = self._wire.record(client, self._operation.read.path, values)
                with _answered(self._wire.system):
                    before = self._operation.read.before.of(found)
            meaning, answer = self._wire.write(client, self._operation, values)
        if meaning is Meaning.ALREADY_SO:
            summary = f"{write.summary.sentence(values)} It was so already; nothing was changed."
            return Receipt("already so", summary, {"system": self._wire.file.card.system})
        with http.writing(self._wire.system), _read_by_file():
            return self._receipt(answer.over(values), before)

    def look_up(self, action: Action, key: str) -> Receipt | None:
        look_up = self._operation.look_up
        if look_up is None:
            return None
        values = self._values(action, key, "")
        with self._wire.open() as client:
            answer = self._wire.read(client, look_up.path, values)
        if answer.status >= 500 or answer.status in {401, 403, 408, 425, 429}:
            http.refuse_read(self._wire.system, answer.status, answer.reason)
        with _answered(self._wire.system):
            found: Any = look_up.found.of(answer.over(values))
            return None if found is None else self._receipt(replace(values, body=found), {})

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        operation, values = self._operation, Values(action.params, reference=receipt.reference)
        path = operation.verify.path if operation.verify else operation.read.path
        with self._wire.open() as client:
            answer = self._wire.read(client, path, values)
        if answer.status in {404, 410}:
            return ReadBack({}, ("The target has no such record any more.",))
        if answer.status != 200:
            http.refuse_read(self._wire.system, answer.status, answer.reason)
        state = operation.verify.state if operation.verify else operation.read.before
        with _answered(self._wire.system):
            observed = state.of(answer.over(values))
            return ReadBack(observed, compare(operation.after.of(values), observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        values = Values(
            action.params, reference=receipt.reference, previous=dict(receipt.pre_image)
        )
        try:
            for way in self._operation.undo:
                if way.when is None or way.when.of(values):
                    if way.params is None:
                        raise cannot_undo(way.refuse)
                    return Action(way.action, way.params.of(values))
        except NoValue:
            raise cannot_undo(f"{self._wire.system} did not tell the earlier state.") from None
        raise cannot_undo("This effect has no way back.")

    def _values(self, action: Action, key: str, guard: str) -> Values:
        return Values(action.params, key=wire_key(self._wire.file.card, key), guard=guard)

    def _receipt(self, values: Values, before: JsonObject) -> Receipt:
        write = self._operation.write
        reference = write.reference.of(values)
        if not reference:
            raise UnreadableAnswer("The answer names no reference.")
        return Receipt(
            reference[:200],
            write.summary.sentence(values),
            {"system": self._wire.file.card.system},
            write.previous.of(values) if write.previous else before,
        )


def wire_key(card: Card, key: str) -> str:
    """Our key as that system takes it: the same one every time."""
    if card.key.form is KeyForm.UUID:
        return str(UUID(digest_of(key)[:32]))
    return key[: card.key.longest]


@contextmanager
def _read_by_file() -> Iterator[None]:
    """An answer that is not as the file says cannot be relied on."""
    try:
        yield
    except NoValue as error:
        raise UnreadableAnswer(str(error)) from error


@contextmanager
def _answered(system: str) -> Iterator[None]:
    with http.reading(system), _read_by_file():
        yield


@contextmanager
def _sendable(system: str, code: str = "unsendable") -> Iterator[None]:
    """What cannot be written down is not sent."""
    try:
        yield
    except NoValue as error:
        raise ConnectorError(
            f"{system} cannot be asked: {error}; nothing was sent.", permanent=True, code=code
        ) from error


def _answer(response: httpx.Response) -> _Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return _Answer(response.status_code, headers, _body(response), response.reason_phrase)


def _body(response: httpx.Response) -> JsonValue:
    """The JSON of the answer, {} where there is none; raises UnreadableAnswer for half of it.

    A refusal may come from a gateway that speaks HTML: what it says is not needed.
    """
    if not response.content:
        return {}
    try:
        return http.json_value(response)
    except UnreadableAnswer:
        if response.is_success:
            raise
        return {}


def _maybe(expression: Expression | None, values: Values) -> str:
    """The text an answer has there, "" where it has none."""
    if expression is None:
        return ""
    try:
        value = expression.of(values)
    except NoValue:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _present(value: Any) -> Any:
    """Without keys that are null: an optional param that was not given is not sent."""
    if isinstance(value, dict):
        return {key: _present(item) for key, item in value.items() if item is not None}
    return [_present(item) for item in value] if isinstance(value, list) else value


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """`Retry-After` in seconds or as a date (RFC 9110, section 10.2.3); None for anything else."""
    value = headers.get("retry-after", "")
    if value.isascii() and value.isdigit() and len(value) < 8:
        return timedelta(seconds=int(value))
    try:
        until, sent = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    return max(until - sent, timedelta(0))
