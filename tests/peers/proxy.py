"""A TCP proxy that loses answers: what was asked arrives, what came of it does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CUT = "cut off"
HANG = "hang"
LOSSES = (CUT, HANG)


@dataclass
class Proxy:
    """What went through. `marker` is how a write looks on the wire."""

    port: int
    target: tuple[str, int]
    marker: bytes
    loss: str
    writes: int = 0
    answered: threading.Event = field(default_factory=threading.Event)
    """The answer to a write came, and was lost here."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def losing_answers(target: tuple[str, int], marker: bytes, loss: str = "") -> Iterator[Proxy]:
    """A proxy to `target`; with a `loss` no answer to a write comes through it."""
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(listener.getsockname()[1], target, marker, loss)
    open_sockets: list[socket.socket] = []
    stopped = threading.Event()

    def accept() -> None:
        while not stopped.is_set():
            try:
                client, _ = listener.accept()
                server = socket.create_connection(target)
            except OSError:
                return
            open_sockets.extend((client, server))
            is_lost = threading.Event()
            for function in (_to_server, _to_client):
                arguments = (proxy, client, server, is_lost)
                threading.Thread(target=function, args=arguments, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        stopped.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in open_sockets:
            one.close()
        thread.join()


def _to_server(
    proxy: Proxy, client: socket.socket, server: socket.socket, is_lost: threading.Event
) -> None:
    seen = b""
    with suppress(OSError):
        while data := client.recv(65536):
            before = seen.count(proxy.marker)
            seen += data
            found = seen.count(proxy.marker) - before
            if found:
                proxy.writes += found
                is_lost.set()
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)


def _to_client(
    proxy: Proxy, client: socket.socket, server: socket.socket, is_lost: threading.Event
) -> None:
    with suppress(OSError):
        while data := server.recv(65536):
            if not (proxy.loss and is_lost.is_set()):
                client.sendall(data)
                continue
            proxy.answered.set()
            if proxy.loss == CUT:
                break
        if proxy.loss == HANG and is_lost.is_set():
            return  # the server has said all, and the client still waits
        client.shutdown(socket.SHUT_RDWR)
