"""How often one agent may call."""

from __future__ import annotations

import logging
from typing import Any

from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from approvals.models import AgentKey

logger = logging.getLogger(__name__)


class AgentThrottle(SimpleRateThrottle):
    """Counts per agent, not per key: a second key buys no second allowance."""

    scope = "agent"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if not isinstance(request.auth, AgentKey):
            return None
        return f"throttle:agent:{request.auth.agent_id}"

    def allow_request(self, request: Request, view: Any) -> bool:
        try:
            return bool(super().allow_request(request, view))
        except RedisError:
            # counting is a courtesy; the limits that protect money are counted in the database
            logger.warning("rate limit not counted, the cache is unreachable")
            return True
