"""What a replay came to: counts and sums, which way, whose, and back from its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audit.lib.canonical import JsonObject, canonical
from policies.models.replays import Direction
from policies.verdicts import Verdict


@dataclass(slots=True)
class FlipCount:
    """Flips counted and added up."""

    count: int = 0
    amount_base: int = 0  # minor units of the base currency
    unpriced: int = 0  # of them without money, or without a rate

    def add(self, amount_base: int | None) -> None:
        self.count += 1
        if amount_base is None:
            self.unpriced += 1
        else:
            self.amount_base += amount_base

    def as_json(self) -> JsonObject:
        return {"count": self.count, "amount_base": self.amount_base, "unpriced": self.unpriced}


@dataclass(slots=True)
class Directed:
    """Flips of one kind, by direction."""

    looser: FlipCount = field(default_factory=FlipCount)
    stricter: FlipCount = field(default_factory=FlipCount)
    rerouted: FlipCount = field(default_factory=FlipCount)

    @property
    def count(self) -> int:
        return self.looser.count + self.stricter.count + self.rerouted.count

    def of(self, direction: Direction) -> FlipCount:
        """The tally of that direction; raises AttributeError for SAME, which is no flip."""
        flip_count: FlipCount = getattr(self, direction.value)
        return flip_count

    def as_json(self) -> JsonObject:
        return {name: getattr(self, name).as_json() for name in ("looser", "stricter", "rerouted")}


@dataclass(slots=True)
class Summary:
    """Everything a replay has to say in numbers."""

    total: int = 0
    same: int = 0
    flips: Directed = field(default_factory=Directed)
    by_agent: dict[str, Directed] = field(default_factory=dict)
    by_action_type: dict[str, Directed] = field(default_factory=dict)
    newly_automatic: FlipCount = field(default_factory=FlipCount)
    no_longer_automatic: FlipCount = field(default_factory=FlipCount)
    never_matched: tuple[str, ...] = ()  # rules that matched none of them
    unknown_facts: int = 0  # cases with facts this release no longer knows
    unreadable: int = 0  # cases whose facts are no JSON: people would decide
    failed_closed: int = 0  # cases nobody could tell about: people would decide, at tier 5

    def add(
        self,
        *,
        direction: Direction,
        agent: str,
        action_type: str,
        amount_base: int | None,
        before: Verdict,
        after: Verdict,
    ) -> None:
        """Count one flip."""
        for found in (
            self.flips,
            self.by_agent.setdefault(agent, Directed()),
            self.by_action_type.setdefault(action_type, Directed()),
        ):
            found.of(direction).add(amount_base)
        if after == Verdict.ALLOW != before:
            self.newly_automatic.add(amount_base)
        if before == Verdict.ALLOW != after:
            self.no_longer_automatic.add(amount_base)

    def as_json(self) -> str:
        """Canonical JSON; `from_json` reads it."""
        return canonical(
            {
                "total": self.total,
                "same": self.same,
                "flips": self.flips.as_json(),
                "by_agent": {name: found.as_json() for name, found in self.by_agent.items()},
                "by_action_type": {
                    name: found.as_json() for name, found in self.by_action_type.items()
                },
                "newly_automatic": self.newly_automatic.as_json(),
                "no_longer_automatic": self.no_longer_automatic.as_json(),
                "never_matched": list(self.never_matched),
                "unknown_facts": self.unknown_facts,
                "unreadable": self.unreadable,
                "failed_closed": self.failed_closed,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Summary:
        """The reverse of `as_json`."""
        found = json.loads(text)
        return cls(
            total=found["total"],
            same=found["same"],
            flips=_directed(found["flips"]),
            by_agent={name: _directed(value) for name, value in found["by_agent"].items()},
            by_action_type={
                name: _directed(value) for name, value in found["by_action_type"].items()
            },
            newly_automatic=FlipCount(**found["newly_automatic"]),
            no_longer_automatic=FlipCount(**found["no_longer_automatic"]),
            never_matched=tuple(found["never_matched"]),
            unknown_facts=found["unknown_facts"],
            unreadable=found["unreadable"],
            failed_closed=found["failed_closed"],
        )


def _directed(found: Mapping[str, Any]) -> Directed:
    return Directed(**{name: FlipCount(**flip_count) for name, flip_count in found.items()})
