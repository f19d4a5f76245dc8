"""Real processes, started in groups of their own and killed without mercy, by id only."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def until(what: str, look: Callable[[], T], *, seconds: float = 60.0) -> T:
    """Look again and again until there is something to see; fail with the sentence otherwise.

    `seconds` only ends a run in which it never comes: a busy machine may take its time.
    """
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"After {seconds:g} s still not: {what}. Seen last: {found!r}")
        time.sleep(0.03)


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def free_block(size: int = 6) -> int:
    """The first of several consecutive ports that are free together, as the sandbox wants them."""
    while True:
        base = free_port()
        with ExitStack() as listeners:
            try:
                for port in range(base, base + size):
                    listeners.enter_context(socket.create_server(("127.0.0.1", port)))
            except (OSError, OverflowError):
                continue
        return base


class Program:
    """One program with its children, in a process group nobody else is in."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], log: Path, inherit: bool = True
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command),
                cwd=ROOT,
                env={**(os.environ if inherit else {}), **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.name = log.stem

    @property
    def log(self) -> str:
        """Everything it has said so far."""
        return self._log.read_text(errors="replace")

    def says(self, words: str, *, times: int = 1, seconds: float = 120.0) -> None:
        """Wait until its log holds the words; fail at once when it ended before."""

        def said() -> bool:
            if self.log.count(words) >= times:
                return True
            if self._process.poll() is not None:
                raise AssertionError(f"It ended before saying {words!r}:\n{self.log[-3000:]}")
            return False

        try:
            until(f"{words!r} in its log", said, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-3000:]}") from None

    @property
    def children(self) -> list[int]:
        """The processes it has forked, oldest first."""
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in found]

    def kill(self) -> None:
        """SIGKILL for the whole group: nothing gets to clean up."""
        self._signal(signal.SIGKILL)
        self._process.wait(10)

    def pause(self) -> None:
        """SIGSTOP for the whole group: a machine that hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: the machine is back and believes no time has passed."""
        self._signal(signal.SIGCONT)

    def ends(self, *, seconds: float = 120.0) -> int:
        """Wait for the end; the exit status."""
        return self._process.wait(seconds)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            self._process.poll()  # gone already; there is nobody to signal
