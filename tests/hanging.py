"""An outside system that takes every connection and never says a word."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class HangingSystem:
    """Listens on loopback; `callers` are the connections it keeps waiting."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self.callers: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def hang_up(self) -> None:
        """Reset everybody who waits, and take nobody any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for caller in self.callers:
            caller.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.callers.append(caller)


@contextmanager
def hanging_system(port: int = 0) -> Iterator[HangingSystem]:
    """One that hangs until the block ends."""
    system = HangingSystem(socket.create_server(("127.0.0.1", port), backlog=128))
    try:
        yield system
    finally:
        system.hang_up()
