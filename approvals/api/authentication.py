"""Who is calling: an agent, by its key. Nobody else uses the API, and agents use nothing else."""

from __future__ import annotations

import hmac
from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from approvals.models import Agent, AgentKey
from approvals.selectors import clock

_REFUSED = "The agent key is missing, wrong, expired or revoked."


class AgentKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer csk_<prefix>_<secret>` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[Agent, AgentKey] | None:
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if not scheme:
            return None
        if scheme.lower() != b"bearer":
            raise AuthenticationFailed(_REFUSED)
        try:
            presented = secret.decode("ascii").strip()
        except UnicodeDecodeError:
            raise AuthenticationFailed(_REFUSED) from None
        key = _find(presented)
        if key is None:
            raise AuthenticationFailed(_REFUSED)
        return key.agent, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="countersign"'


def _find(presented: str) -> AgentKey | None:
    parts = presented.split("_", 2)
    if len(parts) != 3 or parts[0] != "csk" or "\x00" in presented:
        return None
    key = AgentKey.objects.select_related("agent__owner").filter(prefix=parts[1]).first()
    if key is None or not hmac.compare_digest(key.secret_sha256, AgentKey.hash(presented)):
        return None
    if key.revoked_at is not None or key.expires_at <= clock.now():
        return None
    return key


class IsAgent(BasePermission):
    """Only agents: a person's session means nothing here."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, AgentKey)
