"""HTTP to other systems: one client factory, one deadline per call, one reading of outcomes.

The deadline is total. httpx times each read on its own, so a server that trickles one byte a
second would hold a worker, and outlive its lease; here every socket operation gets only what is
left of the call's time. Name resolution is the operating system's and not covered.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NoReturn

import httpcore
import httpx
from django.conf import settings

from audit.canonical import JsonObject
from connectors.base import ConnectorError, OutcomeUnknown

_LARGEST_ANSWER = 4 * 1024 * 1024  # bytes; a connector reads records, not files
_IN_FLIGHT_CODES = frozenset(
    {"idempotency_key_in_use", "idempotency_error", "idempotency_mismatch"}
)


class UnreadableAnswer(Exception):
    """The answer arrived but is not the JSON object it should be."""


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, timed_out: type[httpcore.TimeoutException]) -> float:
        """Seconds left; raises the given exception when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise timed_out("The call's total time is used up.")
        return left


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose every operation fits in the call's remaining time."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline
        self._received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))
        self._received += len(data)
        if self._received > _LARGEST_ANSWER:
            raise httpcore.ReadError("The answer is larger than a connector accepts.")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(httpcore.ConnectTimeout)
        secured = self._stream.start_tls(ssl_context, server_hostname, left)
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(httpcore.ConnectTimeout)
        stream = self._plain.connect_tcp(host, port, left, local_address, socket_options)
        return _DeadlineStream(stream, self._deadline)


class _DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport over a connection pool that keeps to one deadline.

    httpx offers no way to hand over a pool, so it is put where HTTPTransport keeps its own. The
    deadline test fails should a new httpx keep it elsewhere.
    """

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__(verify=_trust(), trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_trust(),
            retries=0,
            max_keepalive_connections=0,
            network_backend=_DeadlineBackend(deadline),
        )


@cache
def _trust() -> ssl.SSLContext:
    """The trusted certificate authorities; loading them costs milliseconds, so once."""
    return httpx.create_ssl_context(trust_env=False)


def timeout_seconds() -> float:
    """How long one connector call may take in total; shorter than the execution lease."""
    seconds: float = settings.CONNECTOR_TIMEOUT.total_seconds()
    return seconds


def open_client(base_url: str = "", headers: Mapping[str, str] | None = None) -> httpx.Client:
    """A client for one connector call; all its requests share `timeout_seconds()`.

    No redirects (a moved target is not the approved target), no proxies or certificates from the
    environment, no connection reuse (a stale connection looks like a lost answer).
    """
    seconds = timeout_seconds()
    return httpx.Client(
        base_url=base_url,
        headers=headers,
        timeout=seconds,
        transport=_DeadlineTransport(_Deadline(seconds)),
        follow_redirects=False,
        trust_env=False,
    )


@contextmanager
def reading(system: str) -> Iterator[None]:
    """Turn transport failures of a read into ConnectorError(permanent=False): nothing changed."""
    try:
        yield
    except (httpx.HTTPError, UnreadableAnswer) as error:
        raise ConnectorError(
            f"{system} could not be read ({_name(error)}).", permanent=False, code="unreadable"
        ) from error


@contextmanager
def writing(system: str) -> Iterator[None]:
    """Turn transport failures of a write into what they prove.

    Only a connection that never came up proves that nothing was sent; everything later is
    OutcomeUnknown.
    """
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ConnectorError(
            f"{system} could not be reached ({_name(error)}); nothing was sent.",
            permanent=False,
            code="not_sent",
        ) from error
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise ConnectorError(
            f"{system} has an address or credential that cannot be used; nothing was sent.",
            permanent=True,
            code="misconfigured",
        ) from error
    except (httpx.HTTPError, UnreadableAnswer) as error:
        raise OutcomeUnknown(
            f"The request went out to {system} and no trustworthy answer came back "
            f"({_name(error)})."
        ) from error


def refuse_read(system: str, status: int, message: str, code: str = "") -> NoReturn:
    """Raise for a read answered with anything but success; 404 and its kin are permanent."""
    raise ConnectorError(
        f"{system} answered {status}: {message}",
        permanent=400 <= status < 500 and status not in {408, 425, 429},
        code=code or f"http_{status}",
    )


def refuse_write(system: str, status: int, message: str, code: str = "") -> NoReturn:
    """Raise what a write's unsuccessful status proves about the effect.

    4xx is a refusal: nothing happened. Exceptions: 408 and redirects say nothing about the
    effect, and an idempotency conflict means another call with this key ran or is running.
    """
    sentence = f"{system} answered {status}: {message}"
    if status in {425, 429}:
        raise ConnectorError(sentence, permanent=False, code=code or f"http_{status}")
    if 400 <= status < 500 and status != 408 and code not in _IN_FLIGHT_CODES:
        raise ConnectorError(sentence, permanent=True, code=code or f"http_{status}")
    raise OutcomeUnknown(sentence)


def json_object(response: httpx.Response) -> JsonObject:
    """The body as a JSON object; raises UnreadableAnswer for anything else, NaN included."""
    try:
        value = json.loads(response.content, parse_constant=_no_constant)
    except ValueError as error:
        raise UnreadableAnswer("The answer is not JSON.") from error
    if not isinstance(value, dict):
        raise UnreadableAnswer("The answer is not a JSON object.")
    return value


def redact(text: str, *secrets: str) -> str:
    """The text without our credentials, on one line, at most 300 characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    return " ".join(text.split())[:300]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _name(error: Exception) -> str:
    # The class only: messages of lower layers may carry URLs with credentials.
    return type(error).__name__
