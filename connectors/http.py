"""HTTP to other systems: one client factory, one deadline per call, one reading of outcomes.

The deadline is total. httpx times each read on its own, so a server that trickles one byte a
second would hold a worker, and outlive its lease; here a request runs in an event loop of its
own, which ends it. Name resolution is the operating system's and not covered.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import NoReturn, Protocol, TypeAlias

import httpx
from django.conf import settings

from audit.lib.canonical import JsonObject, JsonValue
from connectors.base import ConnectorError, OutcomeUnknown

_LARGEST_ANSWER = 4 * 1024 * 1024  # bytes; a connector reads records, not files
_IN_FLIGHT_CODES = frozenset(
    {"idempotency_key_in_use", "idempotency_error", "idempotency_mismatch"}
)


IsComplete: TypeAlias = Callable[[bytes], bool]
IS_COMPLETE = "countersign.is_complete"
"""An extension of a request: is asked with each part of the answer's body whether that was all of
it, for streams that may stay open after what was asked for."""


class UnreadableAnswer(Exception):
    """The answer arrived but is not the JSON object it should be."""


class _DeadlineTransport(httpx.BaseTransport):
    """httpx's own asynchronous transport, all of whose requests together end in time."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._answer(request))
        # a thread has one running loop; a caller that is in one waits for another thread's
        with ThreadPoolExecutor(max_workers=1) as apart:
            return apart.submit(asyncio.run, self._answer(request)).result()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        sending = False

        async def trace(event: str, info: object) -> None:
            nonlocal sending
            sending = sending or event.endswith("send_request_headers.started")

        request.extensions = {**request.extensions, "trace": trace}
        try:
            async with (
                asyncio.timeout(self._ends_at - time.monotonic()),
                httpx.AsyncHTTPTransport(verify=_trust(), trust_env=False) as transport,
            ):
                answer = await transport.handle_async_request(request)
                content = await _body(answer, request.extensions.get(IS_COMPLETE))
                return httpx.Response(answer.status_code, headers=answer.headers, content=content)
        except TimeoutError as error:
            # `writing` asks whether anything can have arrived
            timed_out = httpx.ReadTimeout if sending else httpx.ConnectTimeout
            raise timed_out("The call's total time is used up.") from error


async def _body(answer: httpx.Response, is_complete: IsComplete | None = None) -> bytes:
    """The body as it was sent; raises httpx.ReadError for one that is too large."""
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > _LARGEST_ANSWER:
            raise httpx.ReadError("The answer is larger than a connector accepts.")
        if is_complete is not None and is_complete(part):
            break
    return bytes(body)


@cache
def _trust() -> ssl.SSLContext:
    """The trusted certificate authorities; loading them costs milliseconds, so once."""
    return httpx.create_ssl_context(trust_env=False)


def timeout_seconds() -> float:
    """How long one connector call may take in total; shorter than the execution lease."""
    seconds: float = settings.CONNECTOR_TIMEOUT.total_seconds()
    return seconds


def open_client(
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    auth: httpx.Auth | None = None,
    seconds: float | None = None,
) -> httpx.Client:
    """A client for one connector call; all its requests share `seconds`, or `timeout_seconds()`.

    No redirects (a moved target is not the approved target), no proxies or certificates from the
    environment, no connection reuse (a stale connection looks like a lost answer).
    """
    seconds = timeout_seconds() if seconds is None else seconds
    return httpx.Client(
        base_url=base_url,
        headers=headers,
        auth=auth,
        timeout=seconds,
        transport=_DeadlineTransport(seconds),
        follow_redirects=False,
        trust_env=False,
    )


class SignsIn(Protocol):
    """Where a token comes from: `connectors.authentication.login.Login`."""

    def sign_in(self) -> str: ...
    def renew(self, refused: str) -> str: ...
    def secrets(self) -> tuple[str, ...]: ...


class TokenAuth(httpx.Auth):
    """Shows the token, and for a 401 once a new one with the same request again.

    401 is said before anything is done with a request (RFC 9110, 15.5.2), so repeating one that
    was answered so has no second effect. Nothing else is ever repeated.
    """

    def __init__(self, login: SignsIn) -> None:
        self._login = login
        self._is_renewed = False

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._login.sign_in()
        request.headers["Authorization"] = f"Bearer {token}"
        answer = yield request
        if answer.status_code == 401 and not self._is_renewed:
            self._is_renewed = True
            request.headers["Authorization"] = f"Bearer {self._login.renew(token)}"
            yield request


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


_MEANS = {
    401: "does not accept our credential",
    403: "does not let us do this",
    404: "has no such record",
    408: "gave up waiting for the call",
    409: "says something else stands against it",
    410: "no longer has this record",
    412: "says the record has changed meanwhile",
    425: "is busy",
    429: "is busy",
}


def said(system: str, status: int, message: str) -> str:
    """What a system's answer means, in words people use, and what it said itself."""
    otherwise = "refused it" if status < 500 else "had an error of its own"
    if 300 <= status < 400:
        otherwise = "sent us elsewhere, which we do not follow"
    return f"{system} {_MEANS.get(status, otherwise)}: {message}"


def refuse_read(system: str, status: int, message: str, code: str = "") -> NoReturn:
    """Raise for a read answered with anything but success; 404 and its kin are permanent."""
    raise ConnectorError(
        said(system, status, message),
        permanent=400 <= status < 500 and status not in {408, 425, 429},
        code=code or f"http_{status}",
    )


def refuse_write(system: str, status: int, message: str, code: str = "") -> NoReturn:
    """Raise what a write's unsuccessful status proves about the effect.

    4xx is a refusal: nothing happened. Exceptions: 408 and redirects say nothing about the
    effect, and an idempotency conflict means another call with this key ran or is running.
    """
    sentence = said(system, status, message)
    if status in {425, 429}:
        raise ConnectorError(sentence, permanent=False, code=code or f"http_{status}")
    if 400 <= status < 500 and status != 408 and code not in _IN_FLIGHT_CODES:
        raise ConnectorError(sentence, permanent=True, code=code or f"http_{status}")
    raise OutcomeUnknown(sentence)


def json_value(response: httpx.Response) -> JsonValue:
    """The body as JSON; raises UnreadableAnswer for anything else, NaN included."""
    try:
        value: JsonValue = json.loads(response.content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswer("The answer is not JSON.") from error
    return value


def json_object(response: httpx.Response) -> JsonObject:
    """The body as a JSON object; raises UnreadableAnswer for anything else."""
    value = json_value(response)
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


_WHAT_HAPPENED: tuple[tuple[type[Exception], str], ...] = (
    (UnreadableAnswer, "its answer is not of the form it should have"),
    (httpx.TimeoutException, "it took too long"),
    (httpx.ConnectError, "there is no connection to it"),
    (httpx.NetworkError, "the connection broke"),
    (httpx.ProtocolError, "the answer broke off or was not HTTP"),
)


def _name(error: Exception) -> str:
    """What happened, by the class alone: what lower layers say may carry credentials."""
    known = (words for kind, words in _WHAT_HAPPENED if isinstance(error, kind))
    return next(known, type(error).__name__)
