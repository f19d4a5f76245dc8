"""What goes wrong during a soak: each blow falls at a random moment on whoever is at work."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from tests.faults.soak.stack import Stack

_FAULTS = (
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
class Blow:
    """One kind, how often it falls beside the others, and whether the embedded default has it."""

    name: str
    weight: int
    fall: Callable[[Stack, random.Random], bool]
    needs_servers: bool = False


def _kill_child(stack: Stack, dice: random.Random) -> bool:
    return stack.kill_child(dice)


def _kill_worker(stack: Stack, dice: random.Random) -> bool:
    dice.choice(stack.workers).kill()
    return True


def _kill_beat(stack: Stack, dice: random.Random) -> bool:
    assert stack.beat is not None
    stack.beat.kill()
    return True


def _kill_sandbox(stack: Stack, dice: random.Random) -> bool:
    assert stack.sandbox is not None
    stack.sandbox.kill()
    time.sleep(dice.uniform(0, 2))
    return True


def _kill_vendors(stack: Stack, dice: random.Random) -> bool:
    assert stack.vendors is not None
    stack.vendors.kill()
    time.sleep(dice.uniform(0, 2))
    return True


def _plan_fault(stack: Stack, dice: random.Random) -> bool:
    stack.plan_fault(
        dice.choice(sorted(stack.http_ports)),
        mode=dice.choice(_FAULTS),
        times=dice.randrange(1, 4),
        seconds=dice.uniform(0.5, 12),
    )
    return True


def _kill_database(stack: Stack, dice: random.Random) -> bool:
    assert stack.cluster is not None
    stack.cluster.crash()
    time.sleep(dice.uniform(0, 2))
    stack.cluster.start()
    return True


def _end_sessions(stack: Stack, dice: random.Random) -> bool:
    assert stack.cluster is not None
    with suppress(psycopg.OperationalError), psycopg.connect(stack.cluster.url) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    return True


def _kill_broker(stack: Stack, dice: random.Random) -> bool:
    assert stack.broker is not None
    stack.broker.kill()
    time.sleep(dice.uniform(0, 3))
    stack.broker.start()
    return True


def _lose_messages(stack: Stack, dice: random.Random) -> bool:
    if stack.broker is not None:
        stack.broker.client.flushall()
        return True
    for file in (stack.folder / "var" / "broker").rglob("*.msg"):
        file.unlink(missing_ok=True)
    return True


BLOWS = (
    Blow("process of a worker killed", 12, _kill_child),
    Blow("worker killed", 5, _kill_worker),
    Blow("beat killed", 1, _kill_beat),
    Blow("sandbox killed", 2, _kill_sandbox),
    Blow("vendors killed", 3, _kill_vendors),
    Blow("outside system fails", 14, _plan_fault),
    Blow("database killed", 2, _kill_database, needs_servers=True),
    Blow("database sessions ended", 3, _end_sessions, needs_servers=True),
    Blow("broker killed", 3, _kill_broker, needs_servers=True),
    Blow("messages lost", 1, _lose_messages),
)


def strike(stack: Stack, dice: random.Random) -> list[str]:
    """Let one fall; its name, where it hit somebody."""
    able = [one for one in BLOWS if stack.cluster is not None or not one.needs_servers]
    blow = dice.choices(able, weights=[one.weight for one in able])[0]
    return [blow.name] if blow.fall(stack, dice) else []
