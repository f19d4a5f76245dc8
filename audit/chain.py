"""The arithmetic of the chain: what one event's MAC covers, and with which key.

Each event's HMAC-SHA-256 (RFC 2104) covers the previous event's MAC and every column of its own,
joined by line feeds. No column can contain a line feed: canonical JSON escapes it, and
`audit.services` refuses control characters in the others. So two different events never have
the same message. The row's id is not covered: it says where the row lies, not what happened.

There is one chain per subject and its head lies in the subject's row, which its writer has
locked anyway: different subjects share nothing. Measured with `python -m tests.bench.trail`
(two busy cores for client and server together, Python 3.11, PostgreSQL 15, a million events in
chains of 12 with five-event writers before them):

- Chaining is 1.4 % of a writer's transaction on PostgreSQL, 3 % on SQLite. Keeping events at all
  is not free: a transaction that inserts a 4 kB row and its subject takes 1.9 times as long with
  five events (five indexed rows) as without on PostgreSQL, 3.4 times on SQLite.
- Eight writers of different subjects reach 1.15 to 1.35 of one writer's rate, the two cores being
  full; with one lock around them, which is what a single global chain needs, 0.3 to 0.9.
- Verification, on two idle cores: the arithmetic checks 0.50 M events a second and core, and one
  process with reading and with every record compared to its chain checked 0.23 to 0.28 M a second
  of its processor, 0.16 to 0.20 M by the clock, while it waited for PostgreSQL after each chunk.
  It asks for the next chunk before it looks at one since: measured side by side on a busy machine,
  0.17 to 0.18 M by the clock against 0.11 M, and 0.18 to 0.19 M against 0.13 to 0.14 M a second of
  its processor. `--jobs` helps only where cores are idle: each process takes seconds to start.
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


def moment(at: datetime) -> str:
    """The time as the message has it (RFC 3339): in UTC, with microseconds."""
    return at.astimezone(UTC).isoformat("T", "microseconds")


def message(
    previous: str,
    subject_type: str,
    subject_id: str,
    seq: int,
    code: str,
    actor_kind: str,
    actor_id: str,
    actor_name: str,
    at: str,
    state: str,
    data: str,
) -> bytes:
    """The bytes an event's MAC covers: for those who write events and those who verify them.

    `at` is spelled as `moment` does. What was stored and is no UTF-8 is covered as it is stored.
    """
    return (
        f"{previous}\n{subject_type}\n{subject_id}\n{seq}\n{code}\n{actor_kind}\n{actor_id}\n"
        f"{actor_name}\n{at}\n{state}\n{data}"
    ).encode("utf-8", "surrogateescape")


def mac(key: bytes, covered: bytes) -> str:
    """HMAC-SHA-256 in hex."""
    return hmac.digest(key, covered, "sha256").hex()
