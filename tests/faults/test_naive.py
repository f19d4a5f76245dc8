"""The same faults against the obvious task: it duplicates and loses, so our tests can fail."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.make import charges
from tests.faults.processes import until
from tests.faults.world import World

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]


def open_book(world: World, held: list[str]) -> Path:
    path = world.folder / "naive.sqlite3"
    with closing(sqlite3.connect(path)) as book, book:
        book.execute("CREATE TABLE refunds (charge TEXT PRIMARY KEY, state TEXT)")
        book.executemany("INSERT INTO refunds VALUES (?, 'approved')", [(c,) for c in held])
    return path


def states(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as book:
        return {state for (state,) in book.execute("SELECT state FROM refunds")}


def test_the_obvious_task_pays_twice_when_killed_after_the_effect(world: World) -> None:
    book = open_book(world, ["ch_1002"])
    worker = world.worker(app="tests.faults.naive")
    world.fault("apply_then_hang", path="/v1/refunds", seconds=5)

    world.enqueue_task("naive.refund", str(book), "ch_1002")
    until("the money moved", world.effects)
    for child in worker.children:
        os.kill(child, signal.SIGKILL)

    until("it was redelivered and saved", lambda: states(book) == {"done"})
    assert len(world.effects()) == 2  # ours, killed at the same point, has one


def test_the_obvious_task_loses_everything_when_redis_is_flushed(world: World) -> None:
    book = open_book(world, charges(5))
    for charge in charges(5):
        world.enqueue_task("naive.refund", str(book), charge)

    world.broker.client.flushall()
    world.worker(app="tests.faults.naive")
    time.sleep(2)  # as long as ours takes for all five

    assert states(book) == {"approved"}  # nobody will ever come for them
    assert world.effects() == []
