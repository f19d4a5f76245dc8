"""Making things happen at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Barrier, Thread

from django.db import connection

Call = Callable[[], object]


def at_once(*calls: Call) -> list[object]:
    """Run the calls in threads with connections of their own that start together.

    Returns what each returned or raised, in their order.
    """
    barrier = Barrier(len(calls))
    results: list[object] = [None] * len(calls)

    def run(index: int) -> None:
        try:
            connection.ensure_connection()  # connecting takes longer than the race
            barrier.wait(timeout=120)
            results[index] = calls[index]()
        except Exception as error:
            results[index] = error
        finally:
            connection.close()

    threads = [Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in threads), "a race ended in a deadlock"
    return results


def losers(results: Sequence[object]) -> list[Exception]:
    """What was raised."""
    return [result for result in results if isinstance(result, Exception)]
