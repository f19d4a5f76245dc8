"""The arithmetic of the chain: what one event's MAC covers, and with which key.

Each event's HMAC-SHA-256 (RFC 2104) covers the previous event's MAC and every column of its own,
joined by line feeds. No column can contain a line feed: canonical JSON escapes it, and
`audit.services` refuses control characters in the others. So two different events never have
the same message.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

GENESIS = ""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The key that signs now and those that signed before, by id."""

    current: str
    keys: dict[str, bytes]


def key_id(key: str) -> str:
    """A short public name for a key: the first eight hex digits of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def keyring() -> Keyring:
    """The keys of this deployment: AUDIT_KEY signs, AUDIT_RETIRED_KEYS still verify."""
    keys = {key_id(k): k.encode() for k in [*settings.AUDIT_RETIRED_KEYS, settings.AUDIT_KEY]}
    return Keyring(key_id(settings.AUDIT_KEY), keys)


def message(
    previous: str,
    subject_type: str,
    subject_id: str,
    seq: int,
    code: str,
    actor_kind: str,
    actor_id: str,
    actor_name: str,
    at: datetime,
    state: str,
    data: str,
) -> bytes:
    """The bytes an event's MAC covers."""
    when = at.astimezone(UTC).isoformat(timespec="microseconds")
    return (
        f"{previous}\n{subject_type}\n{subject_id}\n{seq}\n{code}\n{actor_kind}\n{actor_id}\n"
        f"{actor_name}\n{when}\n{state}\n{data}"
    ).encode()


def mac(key: bytes, covered: bytes) -> str:
    """HMAC-SHA-256 in hex."""
    return hmac.digest(key, covered, "sha256").hex()
