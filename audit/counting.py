"""Counting how often something happens, in the cache, by one atomic step per time.

Reading a number and writing it back leaks: sixteen threads at once let twice the rate through.
"""

from __future__ import annotations

import time

from django.core.cache import cache


def count(key: str, *, seconds: int) -> int:
    """Count one more, and say how many since the first; after `seconds` it begins again.

    The cache's own clock ends the period. 0 while the cache is away: nothing is counted then.
    """
    if cache.add(key, 0, seconds):
        cache.set(_end_of(key), time.time() + seconds, seconds)
    try:
        number = int(cache.incr(key))
    except ValueError:  # it ended between the two
        return count(key, seconds=seconds) if cache.add(key, 0, seconds) else 1
    if number == 1:
        cache.touch(key, seconds)  # Redis counts on without an end where the key has just ended
    return number


def seconds_left(key: str) -> int:
    """Until the count begins again, rounded up; 1 when nobody knows."""
    return max(1, int(cache.get(_end_of(key), 0) - time.time()) + 1)


def _end_of(key: str) -> str:
    return f"{key}:end"
