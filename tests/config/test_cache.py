"""Without Redis the cache is empty and nothing else happens."""

from __future__ import annotations

import socket

from config.cache import DispensableRedisCache


def _cache_nobody_serves() -> DispensableRedisCache:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return DispensableRedisCache(f"redis://127.0.0.1:{port}", {})


def test_an_outage_is_a_miss_everywhere() -> None:
    cache = _cache_nobody_serves()

    cache.set("name", 1)

    assert cache.get("name") is None
    assert cache.get("name", "fallback") == "fallback"
    assert cache.get_many(["name"]) == {}
    assert cache.add("name", 1) is False
    assert cache.has_key("name") is False
    assert cache.delete("name") is False
    assert cache.set_many({"name": 1}) == ["name"]
