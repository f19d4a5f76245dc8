"""Where a request comes from, as far as we can know."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


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
