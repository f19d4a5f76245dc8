"""What is suspicious about text an agent supplied. Findings can raise risk, never lower it.

Agent text is data: it is shown as plain text, marked as the agent's, and these flags stand beside
it. Ordinary names in any script (Zoë, Łódź, 山田) raise none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum

from audit.money import Money


class Flag(StrEnum):
    """What the detectors look for."""

    BIDI = "bidi"
    INVISIBLE = "invisible"
    LOOK_ALIKE = "look-alike"
    INJECTION = "injection"
    LONG = "long"
    CONTRADICTION = "contradiction"


_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
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
_INJECTION = re.compile(
    r"""
      \b(ignore|disregard|forget|override)\b.{0,40}\b(previous|prior|above|earlier|all|any)\b
        .{0,40}\b(instruction|rule|polic|prompt|direction|check)
    | \b(you|reviewer|approver|assistant)\b.{0,30}\b(must|should|have\s+to|are\s+to)\b.{0,20}
        \bapprov
    | \b(already|pre-?)\s*-?\s*approved\b | \bapproved\s+by\s+(the\s+)?(c[efio]o|board|manager|
        director|finance|legal|security|compliance)
    | \b(no|without|skip(ping)?|bypass(ing)?)\s+(further\s+|any\s+)?(human\s+)?(review|approval)
    | ^\s*(\#+|\*+|\[+|<+)?\s*(system|assistant|developer|countersign)\s*(message|notice|prompt)?
        \s*(\]|>|\*)*\s*:
    | <\s*/?\s*(system|instructions?|prompt)\s*>
    | \b(jailbreak|developer\s+mode|do\s+anything\s+now)\b
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_LONG = 4000
_MIXABLE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
_WORD = re.compile(r"\w+")


def inspect(text: str) -> tuple[Flag, ...]:
    """The flags of one piece of agent text, sorted."""
    found: set[Flag] = set()
    if any(c in _BIDI for c in text):
        found.add(Flag.BIDI)
    if any(_is_invisible(c) for c in text):
        found.add(Flag.INVISIBLE)
    if any(_mixes_scripts(word) for word in _WORD.findall(text)):
        found.add(Flag.LOOK_ALIKE)
    if _INJECTION.search(unicodedata.normalize("NFKC", _visible(text))):
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


def reveal(text: str) -> str:
    """The text with bidi and invisible characters written out as code points: [U+202E].

    Runs of blank lines are collapsed and announced.
    """
    shown = "".join(
        f"[U+{ord(c):04X}]" if c in _BIDI or _is_invisible(c) or _is_control(c) else c for c in text
    )
    return re.sub(
        r"(?:[ \t]*\r?\n){4,}",
        lambda run: f"\n[{run.group().count(chr(10))} line breaks]\n",
        shown,
    )


def _visible(text: str) -> str:
    return "".join(c for c in text if c not in _BIDI and not _is_invisible(c))


def _is_invisible(char: str) -> bool:
    point = ord(char)
    if point < _INVISIBLE_RANGES[0][0]:  # nearly every character of nearly every text
        return False
    return any(low <= point <= high for low, high in _INVISIBLE_RANGES)


def _is_control(char: str) -> bool:
    return char not in "\n\r\t" and unicodedata.category(char) == "Cc"


def _mixes_scripts(word: str) -> bool:
    scripts: set[str] = set()
    for char in word:
        if char.isalpha() and (ord(char) > 127 or char.isascii()):
            name = unicodedata.name(char, "")
            scripts.update(s for s in _MIXABLE if name.startswith(s))
    return len(scripts) > 1


# --- What the text says it is about -----------------------------------------------------------

_CODES = (
    "EUR|USD|GBP|CHF|JPY|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|CNY|INR|AUD|CAD|NZD|SGD|HKD|MXN|BRL"
    "|ZAR|KRW"
)
"""Codes that are no English word: "TRY 3" and "ALL 5" are not read as lira and lek."""
_SIGNS = {"€": "EUR", "£": "GBP", "¥": "JPY", "$": ""}
"""A dollar sign says nothing about whose dollars."""
_NUMBER = r"[0-9](?:[0-9]|[.,'\u2019\u00a0\u202f](?=[0-9]))*"


def stated_amounts(text: str, *, currency: str = "") -> list[tuple[Decimal, str]]:
    """The sums of money a text names: "10.00 EUR", "EUR 10", "€1,250", each with its code.

    Only numbers with a currency's sign or code beside them; `currency` is one more code to know.
    """
    codes = f"{_CODES}|{re.escape(currency)}" if currency else _CODES
    mark = rf"(?:(?<![A-Za-z])(?:{codes})(?![A-Za-z])|[€£¥$])"
    pattern = rf"({mark})\s?({_NUMBER})|(?<![0-9.,])({_NUMBER})\s?({codes}(?![A-Za-z])|[€£¥$])"
    found = []
    for before, first, second, after in re.findall(pattern, unicodedata.normalize("NFC", text)):
        sign = before or after
        found.append((_number(first or second), _SIGNS.get(sign, sign)))
    return found


def contradicts(money: Money, *, said: Iterable[str], sources: Iterable[str]) -> bool:
    """Do the words speak of other money than the action moves?

    What the agent says it wants names sums, and none of them is this one; or every sum its
    sources name is smaller than this one. A source that names a larger one is ordinary: part of
    an order is refunded, half an invoice is paid.
    """
    wanted = Decimal(money.decimal)

    def same(code: str) -> bool:
        return code in (money.currency, "")

    words = [a for text in said for a in stated_amounts(text, currency=money.currency)]
    if words and not any(amount == wanted and same(code) for amount, code in words):
        return True
    named = [a for text in sources for a in stated_amounts(text, currency=money.currency)]
    comparable = [amount for amount, code in named if same(code)]
    return bool(comparable) and all(amount < wanted for amount in comparable)


def _number(text: str) -> Decimal:
    """The number however its groups are separated: 1,250.00 and 1.250,00 and 1'250."""
    plain = re.sub(r"['\u2019\u00a0\u202f]", "", text)
    last = max(plain.rfind("."), plain.rfind(","))
    whole, fraction = (plain, "") if last < 0 else (plain[:last], plain[last + 1 :])
    if len(fraction) == 3 and not re.fullmatch(r"0", whole):
        whole, fraction = whole + fraction, ""  # three digits are thousands
    return Decimal(f"{re.sub(r'[.,]', '', whole)}.{fraction or '0'}")
