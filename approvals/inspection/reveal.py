"""Showing text so that nothing in it is hidden."""

from __future__ import annotations

from approvals.inspection.characters import is_hidden

_BLANK = " \t\r"
_FEWEST = 4
"""So many line breaks in a row are a wall: what stands below it is meant to be missed."""


def reveal(text: str) -> str:
    """The text with bidi and invisible characters written out as code points: [U+202E].

    Runs of blank lines are collapsed and announced.
    """
    hidden = {ord(char): f"[U+{ord(char):04X}]" for char in set(text) if is_hidden(char)}
    shown = text.translate(hidden) if hidden else text
    return _without_walls(shown) if shown.count("\n") >= _FEWEST else shown


def _without_walls(text: str) -> str:
    """Looks at each line once, however many of them are blank."""
    *ended, last = text.split("\n")
    shown: list[str] = []
    waiting: list[str] = []  # lines since something was written, with their line breaks to come
    for line in ended:
        if line.strip(_BLANK) and waiting:
            shown.extend(_breaks(waiting))
            waiting.clear()
        waiting.append(line)
    return "".join([*shown, *_breaks(waiting), last])


def _breaks(lines: list[str]) -> list[str]:
    """A written line and the blank ones below it; a wall of those as its announcement."""
    if len(lines) < _FEWEST:
        return [f"{line}\n" for line in lines]
    return [lines[0].rstrip(_BLANK), f"\n[{len(lines)} line breaks]\n"]
