"""The proposal: the message an agent sends. A value, not a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast
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
class ReadableParts:
    """What can be read of a message whose shape is wrong, of that which is checked further."""

    action_type: str = ""
    params: JsonObject | None = None
    supersedes: UUID | None = None
    decide_by: datetime | None = None
    callback_url: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """A verified signature of the message a proposal came in (RFC 9421), with all that proves it.

    `base` is what was signed, `value` the signature in base64; the digest of `body` is in the base.
    """

    key_id: str
    public_key: str
    base: str
    value: str
    body: str

    @property
    def data(self) -> JsonObject:
        """As the trail keeps it; the body is kept with the request."""
        return {
            "key_id": self.key_id,
            "public_key": self.public_key,
            "base": self.base,
            "value": self.value,
        }


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
    signature: Signature | None = None

    @property
    def confidence(self) -> float | None:
        """How sure the agent says it is, 0 to 1."""
        said = self.body.get("confidence")
        return said if isinstance(said, int | float) else None

    @property
    def model(self) -> Mapping[str, str]:
        """Which model and prompt the agent says produced it."""
        said = self.body.get("model")
        return cast("Mapping[str, str]", said) if isinstance(said, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanProposal:
    """Several proposed actions to be judged together and done in order; `body` is the message."""

    intent: str
    steps: tuple[Proposal, ...]
    body: JsonObject
    session: str = ""

    def signed(self, signature: Signature | None) -> PlanProposal:
        """With the signature of the message all its steps came in."""
        return replace(self, steps=tuple(replace(one, signature=signature) for one in self.steps))
