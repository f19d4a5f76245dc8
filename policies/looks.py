"""What plain questions look at: equal looks are equal answers."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Values: TypeAlias = "tuple[Any, ...]"
Question: TypeAlias = Callable[[Values], bool]

_WORDS = re.compile(r"(\(\?i\))?([A-Za-z0-9 _-]+)", re.ASCII)
_FOLDED = {"k": "\u212a", "s": "\u017f"}  # what else CEL's patterns take for these letters


@dataclass(slots=True)
class Looks:
    """What plain questions look at, by the place of the fact: equal looks, equal answers."""

    numbers: dict[int, set[int | float]] = field(default_factory=dict)  # compared with these
    texts: dict[int, set[str]] = field(default_factory=dict)  # compared with these
    pairs: set[tuple[int, int]] = field(default_factory=set)  # compared with each other
    whole: set[int] = field(default_factory=set)  # looked at as they are
    searches: list[Question] = field(default_factory=list)  # something looked for in a text

    def take_in(self, other: Looks) -> None:
        """Look at all of that too."""
        for at, numbers in other.numbers.items():
            self.numbers.setdefault(at, set()).update(numbers)
        for at, texts in other.texts.items():
            self.texts.setdefault(at, set()).update(texts)
        self.pairs |= other.pairs
        self.whole |= other.whole
        self.searches += other.searches

    def key(self) -> Callable[[Values], tuple[object, ...]]:
        """A function that gives equal keys to values that look the same."""
        numbers = [(at, sorted(found)) for at, found in self.numbers.items()]
        texts = [(at, frozenset(found)) for at, found in self.texts.items()]
        pairs, whole, searches = sorted(self.pairs), sorted(self.whole), self.searches

        def looked_at(values: Values) -> tuple[object, ...]:
            # between which of the numbers, or on which: twice as many places as numbers
            return (
                *[bisect_left(known, values[at]) + bisect_right(known, values[at])
                  for at, known in numbers],
                *[values[at] if values[at] in known else None for at, known in texts],
                *[(values[a] > values[b]) - (values[a] < values[b]) for a, b in pairs],
                *[values[at] for at in whole],
                *[search(values) for search in searches],
            )  # fmt: skip

        return looked_at


def searching(method: str, word: str) -> Callable[[str], bool] | None:
    """What CEL's method of that name says about a text; None when only CEL can tell."""
    if method == "contains":
        return lambda text: word in text
    if method == "startsWith":
        return lambda text: text.startswith(word)
    if method == "endsWith":
        return lambda text: text.endswith(word)
    plain = _WORDS.fullmatch(word) if method == "matches" else None
    if plain is None:
        return None
    letters = [_either_case(one) for one in plain[2]] if plain[1] else list(plain[2])
    pattern = re.compile("".join(letters))
    return lambda text: pattern.search(text) is not None


def _either_case(letter: str) -> str:
    if not letter.isalpha():
        return letter
    low = letter.lower()
    return f"[{low}{low.upper()}{_FOLDED.get(low, '')}]"
