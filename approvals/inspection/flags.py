"""The flags of one text, and of everything a message says."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from enum import StrEnum

from approvals.inspection.characters import BIDI, INVISIBLE, visible
from approvals.inspection.instructions import gives_instructions


class Flag(StrEnum):
    """What the detectors look for."""

    BIDI = "bidi"
    INVISIBLE = "invisible"
    LOOK_ALIKE = "look-alike"
    INJECTION = "injection"
    LONG = "long"
    CONTRADICTION = "contradiction"


_LONG = 4000
_MIXABLE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")


def inspect(text: str) -> tuple[Flag, ...]:
    """The flags of one piece of agent text, sorted."""
    found: set[Flag] = set()
    characters = set(text)
    if not characters.isdisjoint(BIDI):
        found.add(Flag.BIDI)
    if not characters.isdisjoint(INVISIBLE):
        found.add(Flag.INVISIBLE)
    if not text.isascii() and _mixes_scripts(text):
        found.add(Flag.LOOK_ALIKE)
    if gives_instructions(visible(text)):
        found.add(Flag.INJECTION)
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


def _mixes_scripts(text: str) -> bool:
    """Are there letters of two scripts in one word?"""
    script_of = {char: _script(char) for char in set(text)}
    seen = ""
    for char in text:
        script = script_of[char]
        if script == " ":
            seen = ""
        elif script:
            if seen and script != seen:
                return True
            seen = script
    return False


def _script(char: str) -> str:
    """One of the scripts whose letters pass for each other's; " " between words; or ""."""
    if not char.isalpha():
        return "" if char.isalnum() or char == "_" else " "
    name = unicodedata.name(char, "")
    return next((script for script in _MIXABLE if name.startswith(script)), "")
