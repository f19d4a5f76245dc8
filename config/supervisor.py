"""Keeps a handful of processes running: starts, restarts, stops them together.

Each child leads a process group of its own, so that the workers it forks are found again, and a
Ctrl-C in the terminal reaches the supervisor alone, which then stops everybody in order. Should
the supervisor be killed outright, `config.guard` does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from config import guard

STOP_SECONDS = 8.0
"""How long children may take to stop; a call to the outside that is cut off keeps its lease."""
_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 15.0
_STEADY_SECONDS = 20.0
_MOST_QUICK_DEATHS = 5
_TICK = 0.1


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep running. `once`: it ends by itself, and nothing else depends on it."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    once: bool = False


class _Running:
    """A child and its luck so far."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[str] | None = None
        self.pump: threading.Thread | None = None
        self.started_at = 0.0
        self.start_at = 0.0
        self.quick_deaths = 0
        self.done = False


class Supervisor:
    """Runs the children until told to stop, or until one of them cannot stay up."""

    def __init__(self, children: Sequence[Child], *, out: IO[str] | None = None) -> None:
        self._all = [_Running(child) for child in children]
        self._out = out or sys.stdout
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._guard: subprocess.Popen[str] | None = None
        self._width = max(len(child.name) for child in children)

    def run(self, *, is_ready: Callable[[], bool], when_ready: Callable[[], None]) -> int:
        """Supervise until SIGTERM, SIGINT or a child that cannot stay up; 0 or 1.

        `when_ready` is called once, after `is_ready` has first said yes.
        """
        handlers = {n: signal.signal(n, self._told_to_stop) for n in _stop_signals()}
        announced = False
        try:
            self._start_guard()
            while not self._stopping.is_set():
                if not self._look_after_children():
                    return 1
                if not announced and is_ready():
                    announced = True
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

    def _look_after_children(self) -> bool:
        """Start what should run; False when one has died too often."""
        for running in self._all:
            if running.done:
                continue
            if running.process is None:
                if time.monotonic() >= running.start_at:
                    self._start(running)
            elif running.process.poll() is not None and not self._has_ended(running):
                return False
        return True

    def _start_guard(self) -> None:
        self._guard = subprocess.Popen(  # noqa: S603  # our own file
            [sys.executable, "-I", str(Path(guard.__file__))],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _tell_guard(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.write(f"{line}\n")
            self._guard.stdin.flush()

    def _start(self, running: _Running) -> None:
        child = running.child
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
        self._tell_guard(f"+{process.pid}")
        running.process = process
        running.started_at = time.monotonic()
        running.pump = threading.Thread(
            target=self._pass_on, args=(child.name, process.stdout), daemon=True
        )
        running.pump.start()

    def _pass_on(self, name: str, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self.say(name, line)

    def _has_ended(self, running: _Running) -> bool:
        """A child is gone: take its workers along and plan its return; False to give up."""
        process, child = running.process, running.child
        if process is None:
            return True
        code = process.returncode
        guard.end_groups([process.pid], grace=0)
        self._tell_guard(f"-{process.pid}")
        running.process = None
        if child.once and code == 0:
            running.done = True
            return True
        steady = time.monotonic() - running.started_at >= _STEADY_SECONDS
        running.quick_deaths = 1 if steady else running.quick_deaths + 1
        if running.quick_deaths >= _MOST_QUICK_DEATHS and child.once:
            self.say("up", f"{child.name} failed (exit code {code}); all else goes on without it.")
            running.done = True
            return True
        if running.quick_deaths >= _MOST_QUICK_DEATHS:
            self.say("up", f"{child.name} cannot stay up (exit code {code}): stopping everything.")
            return False
        wait = min(_FIRST_BACKOFF * 2 ** (running.quick_deaths - 1), _LONGEST_BACKOFF)
        running.start_at = time.monotonic() + wait
        self.say(
            "up", f"{child.name} ended with exit code {code}; starting it again in {wait:g} s."
        )
        return True

    def _stop_all(self) -> None:
        """Leave nobody behind, within STOP_SECONDS and a moment."""
        alive = [r.process for r in self._all if r.process is not None]
        reaper = threading.Thread(target=lambda: [p.wait() for p in alive], daemon=True)
        reaper.start()  # a zombie leader would count as a living group
        guard.end_groups([p.pid for p in alive], grace=STOP_SECONDS)
        reaper.join()
        for running in self._all:
            if running.pump is not None:
                running.pump.join(timeout=1)
        if self._guard is not None and self._guard.stdin is not None:
            for process in alive:
                self._tell_guard(f"-{process.pid}")
            self._guard.stdin.close()
            self._guard.wait()


def _stop_signals() -> list[signal.Signals]:
    """A hang-up counts unless somebody (nohup) had it ignored."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers
