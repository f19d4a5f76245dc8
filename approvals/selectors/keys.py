"""Finding an agent by the key it presents."""

from __future__ import annotations

import hmac

from approvals.models import AgentKey
from approvals.selectors import clock


def find_key(presented: str) -> AgentKey | None:
    """The valid key of that text, with its agent; None for anything else."""
    parts = presented.split("_", 2)
    if len(parts) != 3 or parts[0] != "csk" or "\x00" in presented:
        return None
    key = AgentKey.objects.select_related("agent__owner").filter(prefix=parts[1]).first()
    if key is None or not hmac.compare_digest(key.secret_sha256, AgentKey.hash(presented)):
        return None
    if key.revoked_at is not None or key.expires_at <= clock.now():
        return None
    return key
