"""Counting how often something happens, by one atomic step in the cache per time, and from where.

Reading a number and writing it back leaks: sixteen threads at once let twice the rate through."""

from __future__ import annotations

import time
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest


def count(key: str, *, seconds: int) -> int:
    """Count one more, and say how many since the first; after `seconds` it begins again.

    The cache's own clock ends the period. 0 while the cache is away: nothing is counted then.
    """
    if cache.add(key, 0, seconds):
        cache.set(_end_of(key), time.time() + seconds, seconds)
    try:
        return int(cache.incr(key) or 0)  # None while the cache is away
    except ValueError:  # it ended between the two
        return count(key, seconds=seconds) if cache.add(key, 0, seconds) else 1


def seconds_left(key: str) -> int:
    """Until the count begins again, rounded up; 1 when nobody knows."""
    return max(1, int(cache.get(_end_of(key), 0) - time.time()) + 1)


def _end_of(key: str) -> str:
    return f"{key}:end"


def client_address(request: HttpRequest) -> str:
    """The address that reached the outermost of our own proxies; "" when there is none.

    `settings.PROXY_HOPS` says how many proxies of ours are in front. Each appends the address it
    was called from to X-Forwarded-For; whatever stands further to the left anybody can have
    written. Without proxies the header is not looked at.
    """
    direct = str(request.META.get("REMOTE_ADDR", ""))
    hops: int = settings.PROXY_HOPS
    if hops:
        chain = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
        if len(chain) >= hops:
            return _readable(chain[-hops]) or direct
    return direct


def throttled_as(address: str) -> str:
    """Whom to count it for: all addresses of an IPv6 network of 64 bits are one customer's."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))


def _readable(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
