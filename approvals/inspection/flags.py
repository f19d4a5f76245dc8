"""The flags of one text, and of everything a message says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from approvals.inspection.characters import BIDI, misplaced, visible
from approvals.inspection.instructions import gives_instructions
from approvals.inspection.lookalikes import has_lookalikes
from approvals.inspection.markup import has_markup, misleading_links, runs_code


class Flag(StrEnum):
    """What the detectors look for."""

    BIDI = "bidi"
    INVISIBLE = "invisible"
    LOOK_ALIKE = "look-alike"
    INJECTION = "injection"
    MARKUP = "markup"
    LINK = "link"
    LONG = "long"
    CONTRADICTION = "contradiction"


_LONG = 4000


def inspect(text: str) -> tuple[Flag, ...]:
    """The flags of one piece of agent text, sorted."""
    found: set[Flag] = set()
    odd = {text[at] for at in misplaced(text)}
    if odd & BIDI:
        found.add(Flag.BIDI)
    if odd - BIDI:
        found.add(Flag.INVISIBLE)
    seen = visible(text)
    if has_lookalikes(seen):
        found.add(Flag.LOOK_ALIKE)
    if gives_instructions(seen):
        found.add(Flag.INJECTION)
    if has_markup(seen):
        found.add(Flag.MARKUP)
    if runs_code(seen) or misleading_links(seen):
        found.add(Flag.LINK)
    if len(text) > _LONG or "\n\n\n\n" in text.replace("\r", "").replace(" ", ""):
        found.add(Flag.LONG)
    return tuple(sorted(found))


def inspect_all(texts: Iterable[str]) -> tuple[Flag, ...]:
    """The union over several texts, sorted."""
    return tuple(sorted({flag for text in texts for flag in inspect(text)}))


def strings_in(value: object) -> Iterator[str]:
    """Every string in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from strings_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings_in(item)
