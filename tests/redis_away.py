"""The production cache, pointed at a Redis that is away."""

from __future__ import annotations

import socket
from typing import Any

from django.conf import settings
from django.core.cache import CacheHandler


def cache_nobody_serves() -> Any:
    """Connections to it are refused."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return cache_on(port)


def cache_on(port: int) -> Any:
    """The production cache on that port."""
    where = {"LOCATION": f"redis://127.0.0.1:{port}"}
    return CacheHandler({"default": {**settings.REDIS_CACHE, **where}})["default"]
