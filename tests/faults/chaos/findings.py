"""What became of everything: the product's own rows against the outside systems' own account."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from tests.faults.chaos.stack import Stack

UNSETTLED = (
    # not yet with people and not yet done; what waits for a person to start it is with people
    "SELECT a.state, count(*) AS n FROM approvals_actionrequest a WHERE a.state IN "
    "('requested', 'classified', 'evidence_collected', 'policy_checked', 'executing') "
    "OR (a.state = 'approved' AND EXISTS (SELECT 1 FROM approvals_grant g "
    "WHERE g.request_id = a.id AND g.consumed_at IS NULL AND g.revoked_at IS NULL "
    "AND (NOT g.needs_start OR g.started_by_id IS NOT NULL))) GROUP BY a.state"
)
_HAPPENED = frozenset({"executed", "verified", "audited", "compensated"})
_DID_NOT_HAPPEN = frozenset({"failed", "denied", "rejected", "withdrawn", "expired"})


@dataclass(slots=True)
class Findings:
    """Everything that must be empty, and what is merely counted."""

    states: Counter[str] = field(default_factory=Counter)
    effects: int = 0
    attempts: Counter[str] = field(default_factory=Counter)
    twice: list[str] = field(default_factory=list)
    """Effects that happened more than once."""
    unapproved: list[str] = field(default_factory=list)
    """Effects nobody's execution asked for."""
    lost: list[str] = field(default_factory=list)
    """Requests said to be done whose effect is nowhere, and accepted ones without a row."""
    denied: list[str] = field(default_factory=list)
    """Requests said not to have happened whose effect is there."""

    @property
    def is_clean(self) -> bool:
        return not (self.twice or self.unapproved or self.lost or self.denied)


def unsettled(stack: Stack) -> dict[str, int]:
    """How many rows are neither done nor with people, by state."""
    return {row["state"]: row["n"] for row in stack.rows(UNSETTLED)}


def examine(stack: Stack, accepted: dict[str, str]) -> Findings:
    """Compare what the product says with what really happened."""
    found = Findings()
    effects = Counter(effect["idempotency_key"] for effect in stack.effects())
    found.effects = effects.total()
    found.twice = sorted(key for key, times in effects.items() if times > 1)

    rows = stack.rows("SELECT id, state, action_type FROM approvals_actionrequest")
    found.states = Counter(row["state"] for row in rows)
    known = {str(row["id"]) for row in rows}
    found.lost = [f"{kind} {each}" for each, kind in accepted.items() if each not in known]

    asked_for: set[str] = set()
    for row in stack.rows(
        "SELECT a.id, a.state, a.action_type, e.provider_key FROM approvals_execution e "
        "JOIN approvals_actionrequest a ON a.id = e.request_id"
    ):
        keys = {row["provider_key"], _message_id(row["provider_key"])}
        asked_for |= keys
        happened = any(effects[key] for key in keys)
        name = f"{row['action_type']} {row['id']} ({row['state']})"
        if row["state"] in _HAPPENED and not happened:
            found.lost.append(name)
        if row["state"] in _DID_NOT_HAPPEN and happened:
            found.denied.append(name)
    found.unapproved = sorted(key for key in effects if key not in asked_for)
    found.attempts = Counter(
        {
            row["outcome"]: row["n"]
            for row in stack.rows(
                "SELECT outcome, count(*) AS n FROM approvals_attempt GROUP BY outcome"
            )
        }
    )
    return found


def _message_id(key: str) -> str:
    """A mail's key out there is its Message-ID."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@retailer.example>"
