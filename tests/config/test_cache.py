"""Without Redis the cache is empty and nothing else happens."""

from __future__ import annotations

import socket
import time

from tests.redis_away import cache_nobody_serves, cache_on


def test_an_outage_is_a_miss_everywhere() -> None:
    cache = cache_nobody_serves()

    cache.set("name", 1)

    assert cache.get("name") is None
    assert cache.get("name", "fallback") == "fallback"
    assert cache.get_many(["name"]) == {}
    assert not cache.add("name", 1)
    assert not cache.has_key("name")
    assert not cache.delete("name")
    assert not cache.incr("name")
    cache.set_many({"name": 1})
    cache.delete_many(["name"])


def test_nobody_waits_for_a_redis_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cache = cache_on(silent.getsockname()[1])
        started = time.monotonic()

        assert cache.get("name", "fallback") == "fallback"

    assert time.monotonic() - started < 2
