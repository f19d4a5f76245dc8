"""Who is calling: an agent, by its key. Nobody else uses the API, and agents use nothing else."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from approvals.api.throttles import WrongKeyThrottle
from approvals.models import Agent, AgentKey
from approvals.selectors.keys import find_key

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
