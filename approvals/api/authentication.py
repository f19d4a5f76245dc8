"""Who is calling, and how often: an agent, by its key. Nobody else uses the API, and agents use
nothing else.
"""

from __future__ import annotations

import hmac
import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from approvals.models import Agent, AgentKey
from audit.lib import db_clock
from audit.lib.prepared import Given, Prepared
from audit.lib.throttling import client_address, count, seconds_left, throttled_as

_log = logging.getLogger(__name__)
_SEEN_EVERY = timedelta(minutes=10)
_REFUSED = "The agent key is missing, wrong, expired or revoked."


class AgentKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer csk_<prefix>_<secret>` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[Agent, AgentKey] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if not scheme:
            return None
        key = _key_of(secret) if scheme.lower() == b"bearer" else None
        if key is None:
            wrong = WrongKeyThrottle()
            if not wrong.allow_request(request, None):
                raise Throttled(wrong.wait(), "Too many wrong keys from this address.")
            raise AuthenticationFailed(_REFUSED)
        return key.agent, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="countersign"'


def _key_of(secret: bytes) -> AgentKey | None:
    try:
        return find_key(secret.decode("ascii").strip())
    except UnicodeDecodeError:
        return None


class IsAgent(BasePermission):
    """Only agents: a person's session means nothing here."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, AgentKey)


_KEY = Prepared(
    lambda: (
        AgentKey.objects.select_related("agent__owner")
        .annotate(now=db_clock.now_in_query())
        .filter(prefix=Given("prefix"))
    )
)


def find_key(presented: str) -> AgentKey | None:
    """The valid key of that text, with its agent; None for anything else."""
    parts = presented.split("_", 2)
    if len(parts) != 3 or parts[0] != "csk" or "\x00" in presented:
        return None
    key = _KEY.first(prefix=parts[1])
    if key is None or not hmac.compare_digest(key.secret_sha256, AgentKey.hash(presented)):
        return None
    if not key.works(key.now):
        return None
    if key.last_used_at is None or key.now - key.last_used_at > _SEEN_EVERY:
        _note_use(key.pk, key.now)
    return key


def _note_use(key_id: int, at: datetime) -> None:
    """One write in some minutes; a call does not fail because this cannot be written."""
    try:
        with transaction.atomic():
            AgentKey.objects.filter(pk=key_id).update(last_used_at=at)
    except DatabaseError:
        _log.warning("agent_key_use_not_noted", exc_info=True)


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
