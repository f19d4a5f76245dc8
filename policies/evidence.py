"""What evidence a cell of the matrix demands: which kinds, from whom they count, and how fresh."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any


class Supplier(StrEnum):
    """Whose evidence counts. What the system itself reads always does."""

    SYSTEM = "system"
    PEOPLE = "people"  # a colleague may supply it, who then decides nothing about it
    ANYONE = "anyone"  # so may the agent


FRESH_FOR = timedelta(hours=24)
"""How old evidence may be where the matrix does not say."""


@dataclass(frozen=True, slots=True)
class EvidenceDemand:
    """One kind of evidence that must be there before anybody approves."""

    kind: str
    by: Supplier = Supplier.SYSTEM
    fresh: timedelta = FRESH_FOR

    def stored(self) -> str | dict[str, str | int]:
        """As JSON: the kind alone where all else is as usual."""
        if self == EvidenceDemand(self.kind):
            return self.kind
        seconds = int(self.fresh.total_seconds())
        return {"kind": self.kind, "by": self.by.value, "fresh_seconds": seconds}

    @classmethod
    def from_stored(cls, value: str | Mapping[str, Any]) -> EvidenceDemand:
        if isinstance(value, str):
            return cls(value)
        return cls(value["kind"], Supplier(value["by"]), timedelta(seconds=value["fresh_seconds"]))

    def __str__(self) -> str:
        words = {Supplier.SYSTEM: "", Supplier.PEOPLE: "or from a colleague"}
        said = [words.get(self.by, "or supplied")]
        if self.fresh != FRESH_FOR:
            hours = int(self.fresh.total_seconds()) // 3600
            said.append(f"up to {hours} h old")
        noted = ", ".join(filter(None, said))
        return f"{self.kind} ({noted})" if noted else self.kind

    def is_weaker_than(self, other: EvidenceDemand) -> bool:
        """Whether it takes what the other does not."""
        order = tuple(Supplier)
        return order.index(self.by) > order.index(other.by) or self.fresh > other.fresh


def unmet(
    demands: Iterable[EvidenceDemand],
    *,
    read: Collection[str],
    from_people: Collection[str] = (),
    supplied: Collection[str] = (),
) -> tuple[str, ...]:
    """The kinds demanded that are not there: by the system, colleagues or the agent."""
    counts = {
        Supplier.SYSTEM: (read,),
        Supplier.PEOPLE: (read, from_people),
        Supplier.ANYONE: (read, from_people, supplied),
    }
    return tuple(
        demand.kind
        for demand in demands
        if not any(demand.kind in kinds for kinds in counts[demand.by])
    )
