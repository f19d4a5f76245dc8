"""Keeps a handful of processes running: starts, restarts, stops them together.

Each child leads a process group of its own, so that the workers it forks are found again, and a
Ctrl-C in the terminal reaches the supervisor alone, which then stops everybody in order. Should
the supervisor be killed outright, `config.guard` does.

What the kept supervisors document is not enough. honcho ends everything as soon as one process
ends, and starts nothing again. supervisor (supervisord) gives a process up after `startretries`,
leaves its children behind when it is killed, and has no moment at which all is ready. People go on
deciding here while a worker is away, and `make demo` leaves nothing behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from config import guard

STOP_SECONDS = 40.0
"""How long children may take to stop: longer than web gives the requests it is still answering
(`config.web_server`). A call to the outside that is cut off keeps its lease."""
STEADY_SECONDS = 20.0
"""What has run for as long as this has recovered: its next death counts as its first."""
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_FIRST_TRIES = 5
_TICK = 0.1


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep running. `once`: it ends by itself, and nothing else depends on it.

    `later`: nobody needs it before all is ready, so that it does not slow down the others' start.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    later: bool = False


class Restarts:
    """How long to wait before the next start: longer with every death in a row, up to a cap."""

    def __init__(self) -> None:
        self.deaths = 0
        """In a row, with no steady run between them."""

    def wait_after(self, lived: float) -> float:
        """Count one death after so many seconds of life; the seconds until the next start."""
        self.deaths = 1 if lived >= STEADY_SECONDS else self.deaths + 1
        return _WAITS[min(self.deaths, len(_WAITS)) - 1]


class _Running:
    """A child and its luck so far."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[str] | None = None
        self.pump: threading.Thread | None = None
        self.started_at = 0.0
        self.start_at = 0.0
        self.restarts = Restarts()
        self.done = False


class Supervisor:
    """Runs the children until told to stop.

    A child that dies is started again for as long as it takes, and none of the others is touched:
    people go on deciding while there is no worker. Only a start that never became ready is given
    up, after a few tries: then something is misconfigured, nobody uses the system yet, and whoever
    started it is better told so by an exit status than by a log.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        out: IO[str] | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._stop_seconds = stop_seconds
        self._all = [_Running(child) for child in children]
        self._out = out or sys.stdout
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._guard: subprocess.Popen[str] | None = None
        self._was_ready = False
        self._width = max(len(child.name) for child in children)

    def run(self, *, is_ready: Callable[[], bool], when_ready: Callable[[], None]) -> int:
        """Supervise until SIGTERM or SIGINT: 0; or until the start has failed: 1.

        `when_ready` is called once, after `is_ready` has first said yes.
        """
        handlers = {n: signal.signal(n, self._told_to_stop) for n in _stop_signals()}
        try:
            self._start_guard()
            while not self._stopping.is_set():
                self._look_after_guard()
                self._look_after_children()
                if not self._was_ready and self._cannot_start():
                    return 1
                if not self._was_ready and is_ready():
                    self._was_ready = True
                    when_ready()
                self._stopping.wait(_TICK)
            return 0
        finally:
            self._stop_all()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def say(self, name: str, line: str) -> None:
        """Write one line under a name; lines of different children never mix."""
        try:
            with self._writing:
                self._out.write(f"{name:<{self._width}} | {line.rstrip()}\n")
                self._out.flush()
        except BrokenPipeError:  # nobody reads us any more: `up | head`
            self._stopping.set()

    def _told_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()

    def _look_after_children(self) -> None:
        """Start what should run, and plan the return of what has ended."""
        for running in self._all:
            if running.done or (running.child.later and not self._was_ready):
                continue
            if running.process is None:
                if time.monotonic() >= running.start_at:
                    self._start(running)
            elif running.process.poll() is not None:
                self._has_ended(running, running.process)

    def _cannot_start(self) -> bool:
        """Whether a child the others need has died too often before anything was ready."""
        for running in self._all:
            if running.restarts.deaths >= _FIRST_TRIES and not running.child.once:
                self.say("up", f"{running.child.name} cannot stay up: stopping everything.")
                return True
        return False

    def _start_guard(self) -> None:
        self._guard = subprocess.Popen(  # noqa: S603  # our own file
            [sys.executable, "-I", str(Path(guard.__file__)), str(self._stop_seconds)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for running in self._all:
            if running.process is not None:
                self._tell_guard(f"+{running.process.pid}")

    def _look_after_guard(self) -> None:
        """The guard may die as well, and must not be missing when it is needed."""
        if self._guard is not None and self._guard.poll() is not None:
            self._close_guard()
            self._start_guard()

    def _tell_guard(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with suppress(BrokenPipeError):  # it has just died; its successor is told everything
                self._guard.stdin.write(f"{line}\n")
                self._guard.stdin.flush()

    def _close_guard(self) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with suppress(BrokenPipeError):
                self._guard.stdin.close()
            self._guard.wait()

    def _start(self, running: _Running) -> None:
        child = running.child
        running.started_at = time.monotonic()
        try:
            process = subprocess.Popen(  # noqa: S603  # commands come from our own list
                list(child.command),
                env={**os.environ, **child.env, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:  # no memory or no process left for one more: the others go on
            self._start_later(running, f"could not be started ({error.strerror})")
            return
        self._tell_guard(f"+{process.pid}")
        running.process = process
        running.pump = threading.Thread(
            target=self._pass_on, args=(child.name, process.stdout), daemon=True
        )
        running.pump.start()

    def _pass_on(self, name: str, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self.say(name, line)

    def _has_ended(self, running: _Running, process: subprocess.Popen[str]) -> None:
        """A child is gone: take its workers along and plan its return."""
        guard.end_groups([process.pid], grace=0)
        self._tell_guard(f"-{process.pid}")
        running.process = None
        if running.child.once and process.returncode == 0:
            running.done = True
        else:
            self._start_later(running, f"ended with exit code {process.returncode}")

    def _start_later(self, running: _Running, what_happened: str) -> None:
        """Say what became of a child and when it is tried again."""
        child, restarts = running.child, running.restarts
        wait = restarts.wait_after(time.monotonic() - running.started_at)
        running.start_at = time.monotonic() + wait
        if child.once and restarts.deaths >= _FIRST_TRIES:
            self.say("up", f"{child.name} {what_happened}; all else goes on without it.")
            running.done = True
            return
        row = f", {restarts.deaths} times in a row" if restarts.deaths > 1 else ""
        self.say("up", f"{child.name} {what_happened}{row}; starting it again in {wait:g} s.")

    def _stop_all(self) -> None:
        """Leave nobody behind, within `stop_seconds` and a moment."""
        alive = [r.process for r in self._all if r.process is not None]
        reaper = threading.Thread(target=lambda: [p.wait() for p in alive], daemon=True)
        reaper.start()  # a zombie leader would count as a living group
        guard.end_groups([p.pid for p in alive], grace=self._stop_seconds)
        reaper.join()
        for running in self._all:
            if running.pump is not None:
                running.pump.join(timeout=1)
        for process in alive:
            self._tell_guard(f"-{process.pid}")
        self._close_guard()


def _stop_signals() -> list[signal.Signals]:
    """A hang-up counts unless somebody (nohup) had it ignored."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers
