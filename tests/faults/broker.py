"""A Redis server that may be killed, hung and emptied."""

from __future__ import annotations

from pathlib import Path

import redis

from tests.faults.processes import Program, free_port, until


class Broker:
    """A Redis server of our own: ours to kill and to empty."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server: Program | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=2)

    def start(self) -> None:
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self._folder)}
        command = ["redis-server", "--save", "", "--appendonly", "no"]
        for name, value in options.items():
            command += [f"--{name}", value]
        self._server = Program(command, env={}, log=self._folder / "redis.log")
        until("Redis answers", self._answers)

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()

    def pause(self) -> None:
        assert self._server is not None
        self._server.pause()

    def resume(self) -> None:
        assert self._server is not None
        self._server.resume()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False
