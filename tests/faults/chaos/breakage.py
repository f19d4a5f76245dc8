"""What goes wrong: each a function that breaks something and has it whole again when it returns."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx
import psycopg

from tests.faults.chaos.load import Load
from tests.faults.chaos.stack import Stack

IDLE_SECONDS = 4.0
"""How long nothing is asked of the stack before a server below it goes away."""


_MODES = (
    "apply_then_hang",
    "apply_then_500",
    "apply_then_reset",
    "half_body",
    "error_500",
    "reset",
    "slow",
    "busy",
)


@dataclass(frozen=True, slots=True)
class Breakage:
    """One kind of misfortune, how often it comes beside the others, and what it does."""

    name: str
    weight: int
    strike: Callable[[Stack, Load, random.Random], None]


def _kill(words: str, *, child: bool = False) -> Callable[[Stack, Load, random.Random], None]:
    def strike(stack: Stack, load: Load, dice: random.Random) -> None:
        found = stack.processes(words)  # parents first
        victims = found[1:] if child else found[:1]
        if victims:
            with suppress(ProcessLookupError):
                os.kill(dice.choice(victims), signal.SIGKILL)

    return strike


def _stop_and_continue(stack: Stack, load: Load, dice: random.Random) -> None:
    victims = stack.processes("celery --quiet -A config worker")
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    time.sleep(dice.uniform(2, 12))
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _restart_database_idle(stack: Stack, load: Load, dice: random.Random) -> None:
    load.pause()
    time.sleep(IDLE_SECONDS)
    stack.cluster.restart()
    load.go_on()


def _restart_database_busy(stack: Stack, load: Load, dice: random.Random) -> None:
    stack.cluster.restart()


def _crash_database(stack: Stack, load: Load, dice: random.Random) -> None:
    stack.cluster.crash()
    time.sleep(dice.uniform(0, 5))
    stack.cluster.start()


def _terminate_backends(stack: Stack, load: Load, dice: random.Random) -> None:
    with suppress(psycopg.OperationalError):  # the next restart may be in the way already
        stack.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _kill_broker(stack: Stack, load: Load, dice: random.Random) -> None:
    stack.broker.kill()
    time.sleep(dice.uniform(0, 6))
    stack.broker.start()


def _hang_broker(stack: Stack, load: Load, dice: random.Random) -> None:
    stack.broker.pause()
    time.sleep(dice.uniform(1, 6))
    stack.broker.resume()


def _flush_broker(stack: Stack, load: Load, dice: random.Random) -> None:
    stack.broker.client.flushall()


def _system_fails(stack: Stack, load: Load, dice: random.Random) -> None:
    mode = dice.choice(_MODES)
    system = dice.choice(["payments", "email", "directory", "changes", "logistics"])
    body = {"mode": mode, "times": dice.randrange(1, 4), "seconds": dice.uniform(0.5, 12)}
    with suppress(httpx.TransportError):  # the sandbox was killed a moment ago
        httpx.post(f"{stack.demo['sandbox'][system]}/_faults", json=body, timeout=5)


BREAKAGES = (
    Breakage("worker child killed", 8, _kill("celery --quiet -A config worker", child=True)),
    Breakage("worker killed", 3, _kill("celery --quiet -A config worker")),
    Breakage("worker stopped and continued", 2, _stop_and_continue),
    Breakage("beat killed", 2, _kill("celery --quiet -A config beat")),
    Breakage("web worker killed", 3, _kill("gunicorn", child=True)),
    Breakage("web killed", 2, _kill("gunicorn")),
    Breakage("outside systems killed", 2, _kill("connectors.sandbox")),
    Breakage("outside system fails", 8, _system_fails),
    Breakage("database restarted while idle", 3, _restart_database_idle),
    Breakage("database restarted while busy", 2, _restart_database_busy),
    Breakage("database crashed", 2, _crash_database),
    Breakage("database connections ended", 3, _terminate_backends),
    Breakage("broker killed", 3, _kill_broker),
    Breakage("broker hung", 1, _hang_broker),
    Breakage("broker flushed", 2, _flush_broker),
)


def next_breakage(dice: random.Random) -> Breakage:
    """What goes wrong next."""
    return dice.choices(BREAKAGES, weights=[each.weight for each in BREAKAGES])[0]
