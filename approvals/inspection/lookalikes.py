"""Letters and digits that pass for others (UTS 39).

A word of two scripts is ordinary: μm, Δv, Tシャツ. It deceives when all that is foreign in it looks
like what it stands among, so that it reads as a word of one script: "paypal" with a Cyrillic "a"
(mixed-script confusable). So does a word all of whose letters look Latin when nothing around it
says that its writer writes that script (whole-script confusable), and a number with digits of two
systems.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache

from confusable_homoglyphs.utils import load
from fontTools import unicodedata as scripts

_ALIKE = frozenset({"Latn", "Cyrl", "Grek", "Armn", "Cher", "Copt", "Lisu", "Dsrt"})
"""Alphabets whose letters share shapes. A Hebrew, Indic or Han letter alone misleads nobody; amid
Latin letters it may."""
_STYLED = "mathematical alphanumeric symbols"
_NO_SCRIPT = frozenset({"Zyyy", "Zinh", "Zzzz"})


def has_lookalikes(text: str) -> bool:
    """Is there a word or a number in it that reads as another one?"""
    if text.isascii():
        return False
    words = [word for token in set(text.split()) if not token.isascii() for word in _words(token)]
    if any(_is_mixed(word) or _mixes_digits(word) for word in words):
        return True
    return _passes_for_latin(text.split(), words)


def as_latin(text: str) -> str:
    """The text with every letter that looks like a Latin one as that letter."""
    return text if text.isascii() else text.translate(_latin())


def _words(token: str) -> Iterator[str]:
    """The runs of letters, digits and marks of a token."""
    begun = -1
    for at, char in enumerate(token):
        inside = _is_word(char)
        if inside and begun < 0:
            begun = at
        elif not inside and begun >= 0:
            yield token[begun:at]
            begun = -1
    if begun >= 0:
        yield token[begun:]


@lru_cache(maxsize=4096)
def _is_word(char: str) -> bool:
    return unicodedata.category(char)[0] in "LMN"


def _is_mixed(word: str) -> bool:
    """Does it read as a word of one of its scripts while some of its letters are of another?"""
    if word.isascii():
        return False
    letters = Counter(char for char in word if char.isalpha())
    counts: Counter[str] = Counter()
    for char, times in letters.items():
        counts[_script(char)] += times
    if counts[_STYLED] > 1:
        return True
    if len([script for script in counts if script]) < 2:
        return False
    total = sum(counts.values())
    return any(
        _reads_as(script, letters)
        for script, times in counts.items()
        if script == "Latn" or (script in _ALIKE and 2 * times > total)
    )


def _reads_as(script: str, letters: Iterable[str]) -> bool:
    alike = _latin() if script == "Latn" else _alike(script)
    return all(ord(char) in alike for char in letters if _script(char) not in (script, ""))


def _passes_for_latin(tokens: list[str], words: list[str]) -> bool:
    """Is there a word of another alphabet with Latin shapes only, and no other word beside it?

    A host name has to vouch for itself: what is written around it says nothing about it.
    """
    latin = _latin()
    posing: set[str] = set()
    vouched: set[str] = set()
    for word in words:
        letters = [char for char in word if char.isalpha()]
        found = {_script(char) for char in letters} - {""}
        if len(found) == 1 and not found.isdisjoint(_ALIKE - {"Latn"}):
            if all(ord(char) in latin for char in letters):
                posing |= found if len(letters) > 1 else set()
            else:
                vouched |= found
    if posing - vouched:
        return True
    hosts = {token for token in tokens if "." in token.strip(".") and not token.isascii()}
    return bool(posing) and any(
        _passes_for_latin([], list(_words(token)))
        for token in hosts
        if any(c.isascii() and c.isalpha() for c in token)
    )


def _mixes_digits(word: str) -> bool:
    """Digits of two systems in one number: the Bengali four looks like an eight."""
    zeros = {ord(char) - unicodedata.decimal(char) for char in set(word) if char.isdecimal()}
    return len(zeros) > 1


@lru_cache(maxsize=8192)
def _script(char: str) -> str:
    """The script of a letter; "" for one that belongs to several; styled Latin letters apart."""
    if 0x1D400 <= ord(char) <= 0x1D7FF:
        return _STYLED
    script = str(scripts.script(char))
    if script in _NO_SCRIPT or len(scripts.script_extension(char)) > 1:
        return ""
    return script


@cache
def _latin() -> Mapping[int, str]:
    """The ASCII letter each letter of another kind looks like.

    Read when first needed, and of several megabytes only these are kept.
    """
    return {
        ord(char): alike["c"]
        for char, all_alike in load("confusables.json").items()
        if len(char) == 1 and not char.isascii() and char.isalpha()
        for alike in all_alike
        if len(alike["c"]) == 1 and alike["c"].isascii() and alike["c"].isalpha()
    }


@cache
def _alike(script: str) -> Mapping[int, str]:
    """The letter of the script each letter looks like, by the Latin letter both look like."""
    latin = _latin()
    shapes = {alike: chr(point) for point, alike in latin.items() if _script(chr(point)) == script}
    others = {point: shapes[alike] for point, alike in latin.items() if alike in shapes}
    return others | {ord(alike): char for alike, char in shapes.items()}
