"""The proposal: the message an agent sends. A value, not a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from audit.canonical import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppliedEvidence:
    """A source the agent points to. The server never fetches it."""

    kind: str
    title: str
    uri: str = ""
    retrieved_at: datetime | None = None
    authority: str = ""
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One proposed action, well-formed but not yet judged. `body` is the whole message."""

    action_type: str
    params: JsonObject
    body: JsonObject
    intent: str
    on_behalf_of: str = ""
    confidence: float | None = None
    evidence: tuple[SuppliedEvidence, ...] = ()
    session: str = ""
    supersedes: UUID | None = None
    decide_by: datetime | None = None
    texts: tuple[str, ...] = field(default=())
    """Every free text the agent wrote outside params, for the detectors."""
