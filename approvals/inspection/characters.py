"""Characters that turn the direction of text, or that nobody sees."""

from __future__ import annotations

import unicodedata

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE_RANGES = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),  # Mongolian selectors
    (0x200B, 0x200D),  # zero width
    (0x2060, 0x2064),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xE0000, 0xE0FFF),  # tags and supplementary selectors
)
INVISIBLE = frozenset(
    chr(point) for low, high in _INVISIBLE_RANGES for point in range(low, high + 1)
)
_NOT_SEEN = dict.fromkeys(map(ord, BIDI | INVISIBLE))


def visible(text: str) -> str:
    """The text without what nobody sees."""
    return text if text.isascii() else text.translate(_NOT_SEEN)


def is_hidden(char: str) -> bool:
    """Would a page show nothing for it, or show it elsewhere? Line breaks and tabs are seen."""
    if char in BIDI or char in INVISIBLE:
        return True
    return char not in "\n\r\t" and unicodedata.category(char) == "Cc"
