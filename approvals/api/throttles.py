"""How often one agent may call, and how often one address may present a key that is none."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from approvals.models import AgentKey
from audit.addresses import client_address, throttled_as
from audit.counting import count, seconds_left


class CountingThrottle(SimpleRateThrottle):
    """The framework's rates, counted atomically: of many calls at once no more than that pass.

    A period begins with its first call. While the cache is away nothing is counted: counting is
    a courtesy, the limits that protect money are counted in the database.
    """

    _counted = ""

    def allow_request(self, request: Request, view: Any) -> bool:
        allowed, seconds = self.parse_rate(self.rate)
        self._counted = self.get_cache_key(request, view) or ""
        if not self._counted or allowed is None or seconds is None:
            return True
        return count(self._counted, seconds=seconds) <= allowed

    def wait(self) -> float:
        return float(seconds_left(self._counted))


class AgentThrottle(CountingThrottle):
    """Counts per agent, not per key: a second key buys no second allowance."""

    scope = "agent"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if not isinstance(request.auth, AgentKey):
            return None
        return f"throttle:agent:{request.auth.agent_id}"


class WrongKeyThrottle(CountingThrottle):
    """Counts keys that let nobody in, per address. A right one from there is never refused."""

    scope = "wrong_key"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        return f"throttle:wrong-key:{throttled_as(client_address(request._request))}"
