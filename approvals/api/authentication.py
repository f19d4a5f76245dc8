"""Who is calling: an agent, by its key. Nobody else uses the API, and agents use nothing else."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from approvals.models import Agent, AgentKey
from approvals.selectors.keys import find_key

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
        key = find_key(presented)
        if key is None:
            raise AuthenticationFailed(_REFUSED)
        return key.agent, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="countersign"'


class IsAgent(BasePermission):
    """Only agents: a person's session means nothing here."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, AgentKey)
