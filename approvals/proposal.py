"""The proposal: the message an agent sends. A value, not a row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.lib.canonical import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppliedEvidence:
    """A source the agent points to. The server never fetches it."""

    kind: str
    title: str
    uri: str = ""
    retrieved_at: datetime | None = None
    authority: str = ""
    excerpt: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """What detectors look at."""
        return (self.title, self.uri, self.authority, self.excerpt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One proposed action, well-formed but not yet evaluated. `body` is the whole message."""

    action_type: str
    params: JsonObject
    body: JsonObject
    intent: str
    on_behalf_of: str = ""
    evidence: tuple[SuppliedEvidence, ...] = ()
    session: str = ""
    supersedes: UUID | None = None
    decide_by: datetime | None = None
    callback_url: str = ""

    @property
    def confidence(self) -> float | None:
        """How sure the agent says it is, 0 to 1."""
        said = self.body.get("confidence")
        return said if isinstance(said, int | float) else None
