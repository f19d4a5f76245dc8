"""Characters nobody sees and characters that turn the direction of text, where they do not belong.

Many writing systems need them: Persian and Hindi their joiners (UAX 31, section 2.3), Hebrew and
Arabic their plain direction marks (UAX 9), emoji their selectors and joiners (UTS 51). So a
character is checked against its neighbours. Each is looked at once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

from fontTools import unicodedata as scripts

_MARKS = frozenset("\u061c\u200e\u200f")
"""Plain direction marks: ordinary beside letters written from right to left."""
BIDI = _MARKS | frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_IGNORED = (  # Default_Ignorable_Code_Point in the Unicode Character Database, and what looks blank
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200D), (0x2060, 0x2065), (0x206A, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
INVISIBLE = frozenset(chr(point) for low, high in _IGNORED for point in range(low, high + 1))
_NOT_SEEN = dict.fromkeys(map(ord, BIDI | INVISIBLE))

_RIGHT_TO_LEFT = frozenset({"R", "AL"})  # Bidi_Class
_CURSIVE = frozenset({"Arab", "Syrc", "Mand", "Mong", "Nkoo", "Adlm", "Rohg", "Phag", "Sogd"})
_UNSPACED = frozenset({"Khmr", "Thai", "Laoo", "Mymr", "Tibt"})
"""Written without blanks: a zero width space says where a line may end."""
_LONGEST_TAGGED = 16  # a flag of a part of a country: a black flag, tags, an end


def visible(text: str) -> str:
    """The text without what nobody sees."""
    return text if text.isascii() else text.translate(_NOT_SEEN)


def misplaced(text: str) -> list[int]:
    """Where the text holds invisible and direction characters that its writing does not need."""
    if text.isascii() or set(text).isdisjoint(BIDI | INVISIBLE):
        return []
    return list(_misplaced(text))


def is_control(char: str) -> bool:
    """C0 and C1 but line breaks and tabs."""
    return char not in "\n\r\t" and unicodedata.category(char) == "Cc"


def _misplaced(text: str) -> Iterator[int]:
    lines = _has_right_to_left(text)
    tagged_until = line = 0
    for at, char in enumerate(text):
        if char == "\n":
            line += 1
        elif char in _MARKS:
            if not (lines[line] and _may_be_marked(text, at)):
                yield at
        elif char in BIDI:
            yield at
        elif char in INVISIBLE:
            if at >= tagged_until:
                tagged_until = _end_of_tagged_flag(text, at)
            if at >= tagged_until and not _belongs(text, at):
                yield at


def _has_right_to_left(text: str) -> list[bool]:
    rightwards = {c for c in set(text) if unicodedata.bidirectional(c) in _RIGHT_TO_LEFT - _MARKS}
    rightwards -= _MARKS
    return [not rightwards.isdisjoint(line) for line in text.split("\n")]


def _may_be_marked(text: str, at: int) -> bool:
    """Not next to another mark, and not amid digits or foreign letters, whose order it changes."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    return after not in BIDI and not (_runs_left_to_right(before) and _runs_left_to_right(after))


def _runs_left_to_right(char: str) -> bool:
    return bool(char) and unicodedata.bidirectional(char) in {"L", "EN", "AN"}


def _belongs(text: str, at: int) -> bool:
    """Does this one invisible character stand where writing needs it?"""
    char, before, after = text[at], text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    match char:
        case "\ufeff":
            return at == 0  # the byte order mark of a file
        case "\u00ad":
            return before.isalpha() and after.isalpha()
        case "\u200b":
            return _script(before) == _script(after) and _script(after) in _UNSPACED
        case "\u200c" | "\u200d":
            return _joins(char, before, after)
        case "\u034f":
            return _script(before) == "Hebr" and unicodedata.category(before) == "Mn"
        case "\ufe0e" | "\ufe0f":
            return _is_emoji(before) and (not before.isascii() or after == "\u20e3")
    if "\ufe00" <= char <= "\ufe0d":
        return _script(before) in {"Hani", "Mymr", "Phag"}
    if "\u180b" <= char <= "\u180f":
        return _script(before) == "Mong" and before not in INVISIBLE
    return "\U000e0100" <= char <= "\U000e01ef" and _script(before) == "Hani"


def _joins(char: str, before: str, after: str) -> bool:
    """A joiner within a word of a script that has joined forms, or within an emoji."""
    script = _script(before)
    if char == "\u200d" and _is_emoji(after):
        return before == "\ufe0f" or (_is_emoji(before) and not before.isascii())
    if script in _CURSIVE:  # at the end of a word it shows the form letters have within one
        return _script(after) == script or (char == "\u200d" and not after.isalpha())
    # after a virama, or before one: Bengali ya-phala
    if unicodedata.combining(before or " ") == 9:
        return _script(after) == script or not after.isalnum()
    return unicodedata.combining(after or " ") == 9 and _script(after) == script


def _is_emoji(char: str) -> bool:
    return char in _emoji_bases() and char != ""


@cache
def _emoji_bases() -> frozenset[str]:
    return frozenset(char for sequence in _emoji() for char in sequence) - INVISIBLE


def _emoji() -> Mapping[str, object]:
    """Every emoji: megabytes, read by whoever first meets one that needs a second look."""
    from emoji import EMOJI_DATA

    return EMOJI_DATA


def _end_of_tagged_flag(text: str, at: int) -> int:
    """Where the flag of Scotland ends whose first tag stands here; `at` when it is none."""
    if text[at - 1 : at] != "\U0001f3f4" or not "\U000e0020" <= text[at] <= "\U000e007e":
        return at
    end = text.find("\U000e007f", at, at + _LONGEST_TAGGED) + 1
    return end if end and text[at - 1 : end] in _emoji() else at


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    """Its script (UAX 24), "" for none; of a mark, of the script it is made for."""
    return str(scripts.script(char)) if char else ""


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
