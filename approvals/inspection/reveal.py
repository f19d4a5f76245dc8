"""Showing text so that nothing in it is hidden."""

from __future__ import annotations

from approvals.inspection.characters import is_control, misplaced

_BLANK = " \t\r"
_FEWEST = 4
"""So many line breaks in a row are a wall: what stands below it is meant to be missed."""


def reveal(text: str) -> str:
    """The text with control characters, and bidi and invisible ones that its writing does not
    need, written out as code points: [U+202E].

    Runs of blank lines are collapsed and announced.
    """
    odd = misplaced(text)
    shown = _written_out(text, odd) if odd else text
    controls = {ord(char): _code_point(char) for char in set(shown) if is_control(char)}
    shown = shown.translate(controls) if controls else shown
    return _without_walls(shown) if shown.count("\n") >= _FEWEST else shown


def _written_out(text: str, odd: list[int]) -> str:
    pieces, end = [], 0
    for at in odd:
        pieces += [text[end:at], _code_point(text[at])]
        end = at + 1
    return "".join([*pieces, text[end:]])


def _code_point(char: str) -> str:
    return f"[U+{ord(char):04X}]"


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
