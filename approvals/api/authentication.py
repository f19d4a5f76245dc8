"""Who is calling, and how often: an agent, by its key or by a token of an issuer registered for it.

Nobody else uses the API, and agents use nothing else.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from approvals.api.signatures import signature_of
from approvals.exceptions import SignatureRefused, TokenRefused
from approvals.models import Agent, AgentKey, WorkloadIdentity
from approvals.proposal import Signature
from approvals.services.token_sign_in import sign_in
from audit.lib.prepared import Given, Prepared, asked_together
from audit.lib.throttling import client_address, count, seconds_left, throttled_as

_log = logging.getLogger(__name__)
_SEEN_EVERY = timedelta(minutes=10)
_REFUSED = "The agent key is missing, wrong, expired or revoked."
_KEY_BEGINS = "csk_"


@dataclass(frozen=True, slots=True)
class Caller:
    """The agent that calls, and what it showed."""

    agent: Agent
    credential: AgentKey | WorkloadIdentity
    signature: Signature | None = None


class AgentAuthentication(BaseAuthentication):
    """`Authorization: Bearer` (RFC 6750) with a key, `csk_<prefix>_<secret>`, or with a JWT."""

    def authenticate(self, request: Request) -> tuple[Agent, Caller] | None:
        scheme, _, shown = get_authorization_header(request).partition(b" ")
        if not scheme:
            return None
        try:
            credential = _credential_of(shown) if scheme.lower() == b"bearer" else None
        except TokenRefused as refused:
            _count_wrong(request)
            raise AuthenticationFailed(refused.message, code=refused.code) from None
        if credential is None:
            _count_wrong(request)
            raise AuthenticationFailed(_REFUSED)
        agent = credential.agent
        if agent.tokens_only and isinstance(credential, AgentKey):
            raise AuthenticationFailed(
                "This agent signs in with tokens of its issuers: its keys do not count.",
                code="tokens_only",
            )
        try:
            signature = signature_of(request, agent)
        except SignatureRefused as refused:
            raise AuthenticationFailed(refused.message, code=refused.code) from None
        return agent, Caller(agent, credential, signature)

    def authenticate_header(self, request: Request) -> str:
        challenge = 'Bearer realm="countersign"'
        if request.path.startswith(_MCP) and _takes_tokens():
            challenge += f', resource_metadata="{resource_metadata_url()}"'  # RFC 9728, section 5.1
        return challenge


def _takes_tokens() -> bool:
    return WorkloadIdentity.objects.filter(removed_at=None).exists()


_MCP = "/mcp"


def resource_metadata_url() -> str:
    """Where a client of /mcp/ learns whose tokens count there (RFC 9728)."""
    return f"{settings.BASE_URL}/.well-known/oauth-protected-resource{_MCP}"


def _count_wrong(request: Request) -> None:
    wrong = WrongKeyThrottle()
    if not wrong.allow_request(request, None):
        raise Throttled(wrong.wait(), "Too many wrong keys from this address.")


def _credential_of(shown: bytes) -> AgentKey | WorkloadIdentity | None:
    try:
        text = shown.decode("ascii").strip()
    except UnicodeDecodeError:
        return None
    if (
        text.startswith(_KEY_BEGINS) or text.count(".") != 2
    ):  # a signed JWT has three parts (RFC 7515)
        return find_key(text)
    signed_in = sign_in(text)
    _note_if_long_ago(signed_in.identity, signed_in.at)
    return signed_in.identity


class IsAgent(BasePermission):
    """Only agents: a person's session means nothing here."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, Caller)


_KEY = Prepared(
    lambda: AgentKey.objects.select_related("agent__owner").filter(prefix=Given("prefix"))
)


def find_key(presented: str) -> AgentKey | None:
    """The valid key of that text, with its agent; None for anything else."""
    parts = presented.split("_", 2)
    if len(parts) != 3 or parts[0] != "csk" or "\x00" in presented:
        return None
    with asked_together(_KEY.asking(prefix=parts[1])) as at:  # the time now, not a kept one
        key = _KEY.first(prefix=parts[1])
    if key is None or not hmac.compare_digest(key.secret_sha256, AgentKey.hash(presented)):
        return None
    if not key.works(at):
        return None
    _note_if_long_ago(key, at)
    return key


def _note_if_long_ago(credential: AgentKey | WorkloadIdentity, at: datetime) -> None:
    """One write in some minutes; a call does not fail because this cannot be written."""
    if credential.last_used_at is not None and at - credential.last_used_at <= _SEEN_EVERY:
        return
    try:
        with transaction.atomic():
            type(credential).objects.filter(pk=credential.pk).update(last_used_at=at)
    except DatabaseError:
        _log.warning("credential_use_not_noted", exc_info=True)


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
        if not isinstance(request.auth, Caller):
            return None
        return f"throttle:agent:{request.auth.agent.pk}"


class WrongKeyThrottle(CountingThrottle):
    """Counts keys that let nobody in, per address. A right one from there is never refused."""

    scope = "wrong_key"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        return f"throttle:wrong-key:{throttled_as(client_address(request._request))}"
