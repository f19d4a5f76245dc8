"""What a text changes, for the pages: numbers and rules first, its tests folded away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policies.checks.compare import Change

_FIRST = ("parameter ", "rule ")


@dataclass(frozen=True, slots=True)
class Changes:
    """What requests notice, and what only the document's own tests do."""

    noticed: tuple[Change, ...]
    tests: tuple[Change, ...]


def sorted_out(changes: Iterable[Change]) -> Changes:
    """Parameters, then rules, then the rest; each in the order a document is read in."""
    found = tuple(changes)
    noticed = [one for one in found if not one.what.startswith('test "')]
    noticed.sort(key=lambda one: _place(one.what))
    return Changes(tuple(noticed), tuple(one for one in found if one.what.startswith('test "')))


def _place(what: str) -> int:
    return next((n for n, start in enumerate(_FIRST) if what.startswith(start)), len(_FIRST))
