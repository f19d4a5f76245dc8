"""Calls to one system that is a file: reads, the one write, and what their answers mean."""

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

import httpx

from audit.lib.canonical import JsonValue, canonical
from connectors import http
from connectors.addresses import is_trusted_relay
from connectors.base import ConnectorError, OutcomeUnknown
from connectors.declared.expressions import Expression, NoValue, Template, Values
from connectors.declared.file import AnswerRule, Card, Meaning, Operation, Scheme, SystemFile
from connectors.http import SignsIn, TokenAuth, UnreadableAnswer

_BUSY = frozenset({425, 429})
_GOOD = (None, Meaning.DONE, Meaning.ALREADY_SO)


def is_allowed_host(card: Card, address: str) -> bool:
    """Whether the file lets a connection have that address; no list lets any.

    A relay of the installation's own may stand before every system.
    """
    host = urlsplit(address).hostname or ""
    is_named = any(fnmatch(host, pattern) for pattern in card.hosts)
    return not card.hosts or is_named or is_trusted_relay(address)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, as expressions see it."""

    status: int
    headers: Mapping[str, str]
    body: JsonValue
    reason: str

    def over(self, values: Values) -> Values:
        return replace(values, status=self.status, headers=self.headers, body=self.body)


@dataclass(slots=True)
class Wire:
    """Reads and writes of one system."""

    file: SystemFile
    base_url: str
    credential: str = field(repr=False)
    login: SignsIn | None = None
    """For the schemes with tokens."""

    @property
    def system(self) -> str:
        return self.file.card.title

    def read(self, client: httpx.Client, path: Template, values: Values) -> Reply:
        """GET a record, whatever the status. Raises ConnectorError.

        The system's table counts for what is no record although its status says so, and for being
        busy; what any other status means, the caller knows.
        """
        url = self._url(path, values)
        with http.reading(self.system):
            answer = _answer(client.get(url))
        meaning = self._listed(self.file.answers.rules, answer)
        if meaning is None and answer.status in _BUSY:
            meaning = Meaning.BUSY
        is_denied = 200 <= answer.status < 300 and meaning not in _GOOD
        if meaning is Meaning.BUSY or is_denied:
            message, code = self._said(answer)
            raise ConnectorError(
                http.said(self.system, answer.status, message),
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
    ) -> tuple[Meaning, Reply]:
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

    def _listed(self, rules: Iterable[AnswerRule], answer: Reply) -> Meaning | None:
        """What the first line that holds says; None where none does."""
        for rule in rules:
            try:
                if rule.when.of(answer.over(Values({}))):
                    return rule.means
            except NoValue:  # nobody knows what the answer says
                return Meaning.UNKNOWN
        return None

    def _meaning(self, operation: Operation, answer: Reply) -> Meaning:
        """By the first line of the tables that holds; without one, by the status (RFC 9110)."""
        listed = self._listed(self._rules(operation), answer)
        if listed is not None:
            return listed
        if 200 <= answer.status < 300:
            return Meaning.DONE
        if answer.status in _BUSY:
            return Meaning.BUSY
        if answer.status in {409, 412}:
            return Meaning.CONFLICT
        is_refusal = 400 <= answer.status < 500 and answer.status != 408
        return Meaning.REFUSED if is_refusal else Meaning.UNKNOWN

    def _refusal(
        self, operation: Operation, meaning: Meaning, answer: Reply
    ) -> ConnectorError | OutcomeUnknown:
        message, code = self._said(answer)
        sentence = http.said(self.system, answer.status, message)
        if meaning is Meaning.UNKNOWN:
            return OutcomeUnknown(sentence)
        if meaning is Meaning.BUSY:
            pause = self._pause(self._rules(operation), answer)
            return ConnectorError(sentence, permanent=False, code=code or "busy", retry_after=pause)
        code = "conflict" if meaning is Meaning.CONFLICT else code or f"http_{answer.status}"
        return ConnectorError(sentence, permanent=True, code=code)

    def _pause(self, rules: Iterable[AnswerRule], answer: Reply) -> timedelta | None:
        values = answer.over(Values({}))
        for rule in rules:
            if rule.retry_after is not None:
                try:
                    if rule.when.of(values):
                        return timedelta(seconds=rule.retry_after.of(values))
                except (NoValue, OverflowError):
                    continue
        return _retry_after(answer.headers)

    def _said(self, answer: Reply) -> tuple[str, str]:
        """What the system says is wrong, and its code for it."""
        values = answer.over(Values({}))
        message = _maybe(self.file.answers.message, values) or answer.reason
        return self.without_secrets(message), _maybe(self.file.answers.code, values)

    def without_secrets(self, text: str) -> str:
        """Its words on one line, without our credentials."""
        # a part of it alone, such as a password, is as secret, and so is what is sent
        secrets = [self.credential, self.credential.rpartition(":")[2], _encoded(self.credential)]
        secrets += self.login.secrets() if self.login else ()
        return http.redact(text, *secrets)

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
        auth: httpx.Auth | None = None
        if scheme is Scheme.BEARER:
            headers["Authorization"] = f"Bearer {self.credential}"
        elif scheme is Scheme.BASIC:
            headers["Authorization"] = f"Basic {_encoded(self.credential)}"
        elif scheme is Scheme.HEADER:
            headers[card.authentication.header] = self.credential
        elif self.login is not None:
            auth = TokenAuth(self.login)
        elif scheme.has_tokens:
            raise ConnectorError(
                f"{card.title} takes tokens, and nobody gets any; nothing was sent.",
                permanent=True,
                code="misconfigured",
            )
        return http.open_client(headers=headers, auth=auth)


def _encoded(credential: str) -> str:
    return base64.b64encode(credential.encode()).decode()


@contextmanager
def _sendable(system: str, code: str = "unsendable") -> Iterator[None]:
    """What cannot be written down is not sent."""
    try:
        yield
    except NoValue as error:
        raise ConnectorError(
            f"{system} cannot be asked: {error}; nothing was sent.", permanent=True, code=code
        ) from error


def _answer(response: httpx.Response) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, _body(response), response.reason_phrase)


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
