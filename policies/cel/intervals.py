"""Which facts some clauses mean, as far as that can be said without having any.

Everything here errs to one side: a `Region` holds at least what its clauses mean. What is claimed
to be empty is empty; what is claimed to be within another one is, where all of that one was read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from audit.lib.cel_tree import Literal


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison: a fact, an operator and the literals it is compared with."""

    fact: str  # "action.amount", or "size(evidence.flags)"
    operator: str  # one of == != < <= > >= in
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Which values of one fact are meant. Bounds count; None is no bound."""

    low: int | float | None = None
    high: int | float | None = None
    allowed: frozenset[Literal] | None = None  # None: any
    barred: frozenset[Literal] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether no value is left."""
        if self.allowed is not None:
            return not self.values
        if self.low is None or self.high is None:
            return self.barred >= {True, False} and all(type(v) is bool for v in self.barred)
        return self.low > self.high or (self.low == self.high and self.low in self.barred)

    @property
    def values(self) -> frozenset[Literal]:
        """The values left of those listed; empty when none are listed."""
        return frozenset(v for v in self.allowed or () if self._bounds(v) and v not in self.barred)

    def is_within(self, other: Span) -> bool:
        """Whether every value meant here is meant there too."""
        if self.allowed is not None:
            return all(other.holds(value) for value in self.values)
        if other.allowed is not None:
            return False
        return (
            (other.low is None or (self.low is not None and self.low >= other.low))
            and (other.high is None or (self.high is not None and self.high <= other.high))
            and all(not self.holds(value) for value in other.barred)
        )

    def holds(self, value: Literal) -> bool:
        """Whether the value is meant."""
        if self.allowed is not None and value not in self.allowed:
            return False
        return value not in self.barred and self._bounds(value)

    def narrowed(self, term: Term) -> Span:
        """The values that are meant here and by the term."""
        value = term.values[0] if term.values else ""
        if term.operator in ("==", "in"):
            listed = frozenset(term.values)
            return replace(self, allowed=listed if self.allowed is None else self.allowed & listed)
        if term.operator == "!=":
            return replace(self, barred=self.barred | {value})
        if isinstance(value, str):  # texts have an order too; nobody means it
            return self
        if term.operator in (">", ">="):
            low = _above(value) if term.operator == ">" else value
            return replace(self, low=low if self.low is None else max(self.low, low))
        high = _below(value) if term.operator == "<" else value
        return replace(self, high=high if self.high is None else min(self.high, high))

    def _bounds(self, value: Literal) -> bool:
        if isinstance(value, str):
            return True
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True)
class Region:
    """Everything several clauses mean together."""

    spans: Mapping[str, Span] = field(default_factory=dict)  # by fact
    opaque: frozenset[str] = frozenset()  # what could not be read, as written

    @property
    def contradiction(self) -> str:
        """The fact that would need two values at once; empty when there is none."""
        return next((fact for fact, span in self.spans.items() if span.is_empty), "")

    def is_within(self, other: Region) -> bool:
        """Whether whatever is meant here is provably meant there too."""
        return self.opaque >= other.opaque and all(
            self.spans.get(fact, Span()).is_within(span) for fact, span in other.spans.items()
        )


def _above(value: int | float) -> int | float:
    return math.nextafter(value, math.inf) if isinstance(value, float) else value + 1


def _below(value: int | float) -> int | float:
    return math.nextafter(value, -math.inf) if isinstance(value, float) else value - 1
