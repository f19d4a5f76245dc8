"""Plain sentences from params: free text is quoted, on one line, and cannot pose as ours."""

from __future__ import annotations

import unicodedata

from audit.canonical import JsonObject

_SHOWN = 160
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})


def text(params: JsonObject, name: str) -> str:
    """The string under that name, "" when absent; raises TypeError for anything else."""
    value = params.get(name, "")
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a string")
    return value


def quoted(value: str, shown: int = _SHOWN) -> str:
    """Agent-written text in quotes: newlines collapsed, invisible characters by code point.

    Double quotes inside become single ones, so the text cannot close its own quotation and go on
    in our voice.
    """
    line = " ".join(value.split()).replace('"', "'").replace("\u201c", "'").replace("\u201d", "'")
    line = "".join(_visible(character) for character in line)
    return f'"{line}"' if len(line) <= shown else f'"{line[:shown].rstrip()}..."'


def _visible(character: str) -> str:
    if unicodedata.category(character) in _HIDDEN_CATEGORIES:
        return f"<U+{ord(character):04X}>"
    return character
