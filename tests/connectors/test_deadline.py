"""One call never takes longer than its total time, however slowly the other side talks."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import httpx
import pytest
from pytest_django.fixtures import Settings

from connectors import http
from connectors.base import Action, ConnectorError, OutcomeUnknown, Preview
from connectors.registry import action_type, connector_for
from connectors.sandbox.server import Sandbox
from tests.connectors.make import CONFIG, EMAIL, REFUND

_TIMEOUT = 1.0  # seconds
_SLOW = b"x" * 60  # three seconds of it
_HEAD = b"HTTP/1.1 200 OK\r\nX-Padding: " + _SLOW
_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"


@contextmanager
def trickling(
    quick: bytes,
    slow: bytes,
    *,
    after: bytes = b"",
    script: bytes = b"",
    speaks_first: bool = False,
) -> Iterator[str]:
    """A server that answers `quick` at once and then `slow`, a byte every 50 ms.

    With `script`, it first answers that to every line until one begins with `after`.
    """
    stop = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if script:
                connection.sendall(b"220 ready\r\n")
                lines = connection.makefile("rb")
                for line in lines:
                    if line.upper().startswith(after):
                        break
                    connection.sendall(script)
            elif not speaks_first:
                connection.recv(65536)  # closing with unread bytes would reset the connection
            connection.sendall(quick)
            for byte in slow:
                if stop.wait(0.05):
                    return
                connection.sendall(bytes([byte]))

    def accept() -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                connection.settimeout(10)
                threading.Thread(target=serve, args=[connection], daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listener.close()


@contextmanager
def within_the_time() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < _TIMEOUT + 0.5


def point_at(settings: Settings, address: str) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=_TIMEOUT)
    settings.CONNECTORS = {
        "payments": {"base_url": f"http://{address}", "api_key": "sk_test"},
        "changes": {"base_url": f"http://{address}", "token": "token"},
        "email": {
            "url": f"smtp://{address}",
            "sender": "service@retailer.example",
            "archive_url": f"http://{address}",
        },
    }


@pytest.mark.parametrize(("quick", "slow"), [(b"", _HEAD), (_BODY, _SLOW)])
def test_a_read_from_a_trickling_server_ends_in_time(
    settings: Settings, quick: bytes, slow: bytes
) -> None:
    with trickling(quick, slow) as address:
        point_at(settings, address)
        connector = connector_for(action_type("refund.issue"))

        with within_the_time(), pytest.raises(ConnectorError) as unread:
            connector.preview(Action("refund.issue", REFUND.params))

    assert not unread.value.permanent


@pytest.mark.parametrize(("quick", "slow"), [(b"", _HEAD), (_BODY, _SLOW)])
def test_a_write_to_a_trickling_server_ends_in_time_and_is_unknown(
    settings: Settings, quick: bytes, slow: bytes
) -> None:
    with trickling(quick, slow) as address:
        point_at(settings, address)
        connector = connector_for(action_type("config.change"))

        with within_the_time(), pytest.raises(OutcomeUnknown):
            connector.execute(Action("config.change", CONFIG.params), idempotency_key="key-1")


def test_a_handshake_that_never_ends_is_cut_off_with_nothing_sent(settings: Settings) -> None:
    with trickling(b"", _SLOW, speaks_first=True) as address:
        point_at(settings, address)
        settings.CONNECTORS["changes"]["base_url"] = f"https://{address}"
        connector = connector_for(action_type("config.change"))

        with within_the_time(), pytest.raises(ConnectorError) as refusal:
            connector.execute(Action("config.change", CONFIG.params), idempotency_key="key-1")

    assert refusal.value.code == "not_sent"


def test_all_requests_of_a_call_share_its_time(settings: Settings) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=_TIMEOUT)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    with (
        trickling(answer, b"x" * 10) as address,
        within_the_time(),
        http.open_client(f"http://{address}") as client,
    ):
        assert client.get("/").content == b"x" * 10
        with pytest.raises(httpx.TimeoutException):
            [client.get("/") for _ in range(2)]


def test_a_trickling_mail_greeting_ends_in_time_with_nothing_sent(settings: Settings) -> None:
    with trickling(b"", b"220-" + _SLOW, speaks_first=True) as address:
        point_at(settings, address)

        with within_the_time(), pytest.raises(ConnectorError) as refusal:
            EMAIL.connector.execute(Action("email.send", EMAIL.params), idempotency_key="key-1")

    assert not refusal.value.permanent


def test_a_trickling_answer_to_the_message_ends_in_time_and_is_unknown(settings: Settings) -> None:
    with trickling(
        b"354 go on\r\n", b"250-" + _SLOW, after=b"DATA", script=b"250 fine\r\n"
    ) as address:
        point_at(settings, address)

        with within_the_time(), pytest.raises(OutcomeUnknown):
            EMAIL.connector.execute(Action("email.send", EMAIL.params), idempotency_key="key-1")


def test_an_endless_answer_is_cut_off(settings: Settings) -> None:
    body = b'{"value": "%s"}' % (b"x" * 9_000_000)
    huge = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with trickling(huge, b"") as address:
        point_at(settings, address)
        connector = connector_for(action_type("config.change"))

        with within_the_time(), pytest.raises(ConnectorError):
            connector.preview(Action("config.change", CONFIG.params))


def test_a_caller_inside_a_running_loop_is_answered_too(sandbox: Sandbox) -> None:
    connector = connector_for(action_type("refund.issue"))

    async def inside() -> Preview:
        return connector.preview(Action("refund.issue", REFUND.params))

    assert asyncio.run(inside()).before
