"""The worst texts for a pattern, found in the pattern itself: what it repeats, repeated."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

_WORD = re.compile(r"[A-Za-z][a-z]+|[A-Z]{2,}")
_ESCAPE = re.compile(r"\\(?:x\{[0-9a-f]+\}|.)")
_ALWAYS = (
    "a",
    "A",
    "0",
    "_",
    " ",
    "\n",
    "\r\n",
    "\t",
    ".",
    ",",
    "-",
    "/",
    "@",
    '"',
    "'",
    "\\",
    "é",
)
_MOST_PAIRS = 30
_MOST_WORDS = 12


def runs(pattern: str, *, size: int) -> Iterator[str]:
    """Of each character the pattern names or may mean, `size` of them; ended otherwise."""
    for char in _characters(pattern):
        yield char * (size // len(char)) + "\x00"
    yield '\\"' * (size // 2)


def worst_texts(pattern: str, *, size: int) -> Iterator[str]:
    """Runs, and begun as the pattern would have it; its words and pairs of characters, repeated."""
    words = tuple(dict.fromkeys(_WORD.findall(_ESCAPE.sub(" ", pattern))))[:_MOST_WORDS]
    characters = _characters(pattern)
    yield from runs(pattern, size=size)
    for start, char in itertools.product((*words, '"', "://", "["), (" ", "\n", "a", "-")):
        yield start + char * (size - len(start)) + "\x00"
    for parts in itertools.chain(
        itertools.product(words, (" ", "\n", "")),
        itertools.islice(itertools.permutations(characters, 2), _MOST_PAIRS),
        ((" ".join(words), " "), ("\n".join(words), "\n")),
    ):
        part = "".join(parts) or " "
        yield part * (size // len(part))
    yield "\n" * 999
    yield "(" * size + ")" * size


def _characters(pattern: str) -> tuple[str, ...]:
    named = (char for char in _ESCAPE.sub(" ", pattern) if not char.isalnum())
    return tuple(dict.fromkeys((*_ALWAYS, *named)))
