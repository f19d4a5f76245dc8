"""Making things happen at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier

import pytest
from django.db import connection

Call = Callable[[], object]


def _hang_up() -> None:
    connection.close()  # the connection of the thread that runs this


class Racers:
    """Threads with connections of their own, for all the rounds of one test.

    A connection costs PostgreSQL a process: making one for each call was half of a round.
    """

    def __init__(self) -> None:
        self._pools: list[ThreadPoolExecutor] = []

    def run(self, calls: Sequence[Call]) -> list[object]:
        self._pools += [ThreadPoolExecutor(1) for _ in calls[len(self._pools) :]]
        barrier = Barrier(len(calls))

        def run(call: Call) -> object:
            try:
                connection.ensure_connection()  # connecting takes longer than the race
                barrier.wait(timeout=120)
                return call()
            except Exception as error:
                if connection.errors_occurred:
                    connection.close()
                return error

        futures = [pool.submit(run, call) for pool, call in zip(self._pools, calls, strict=False)]
        _, late = wait(futures, timeout=120)
        assert not late, "a race ended in a deadlock"
        return [future.result() for future in futures]

    def end(self) -> None:
        for pool in self._pools:
            pool.submit(_hang_up).result()
            pool.shutdown()
        self._pools.clear()


_racers = Racers()


@pytest.fixture(autouse=True)
def _racers_go_home() -> Iterator[None]:
    """Threads and connections are one test's: the next may be on another database."""
    yield
    _racers.end()


def at_once(*calls: Call) -> list[object]:
    """Run the calls in threads that start together; what each returned or raised, in order."""
    return _racers.run(calls)


def losers(results: Sequence[object]) -> list[Exception]:
    """What was raised."""
    return [result for result in results if isinstance(result, Exception)]
