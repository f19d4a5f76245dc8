"""What money a text speaks of, and whether that is the money the action moves."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal

from audit.lib.money import Money

_CODES = frozenset(
    {
        "EUR", "USD", "GBP", "CHF", "JPY", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON",
        "BGN", "CNY", "INR", "AUD", "CAD", "NZD", "SGD", "HKD", "MXN", "BRL", "ZAR", "KRW",
    }
)  # fmt: skip
"""Codes that are no English word: "TRY 3" and "ALL 5" are not read as lira and lek."""
_SIGNS = {"€": "EUR", "£": "GBP", "¥": "JPY", "$": ""}
"""A dollar sign says nothing about whose dollars."""
# Not RE2, whose binding takes longer for each match than this for a page: the repeat gives nothing
# back, so each character is looked at twice at most.
_NUMBER = re.compile(r"[0-9](?:[.,'\u2019\u00a0\u202f]?[0-9])*+")
_LONGEST_NUMBER = 40
"""Longer ones are no sum of money, and would be slow to reckon with."""
_SEPARATORS = str.maketrans("", "", "'\u2019\u00a0\u202f")
_BLANK = frozenset(" \t\n\r\u00a0\u202f\u2009")


def stated_amounts(text: str, *, currency: str = "") -> list[tuple[Decimal, str]]:
    """The sums of money a text names: "10.00 EUR", "EUR 10", "€1,250", each with its code.

    Only numbers with a currency's sign or code beside them; `currency` is one more code to know.
    """
    codes = _CODES | {currency} if currency else _CODES
    text = unicodedata.normalize("NFC", text)
    found = []
    taken = 0  # up to where marks belong to a number already
    for number in _NUMBER.finditer(text):
        start, end = number.span()
        before = _mark_before(text, start, codes, taken)
        after, after_end = ("", end) if before is not None else _mark_after(text, end, codes)
        mark = before if before is not None else after
        if mark and end - start <= _LONGEST_NUMBER:
            found.append((_number(number.group()), _SIGNS.get(mark, mark)))
            taken = max(end, after_end)
    return found


def _mark_before(text: str, start: int, codes: frozenset[str], taken: int) -> str | None:
    """The sign or code that ends where the number begins, a blank between allowed."""
    end = start - 1 if start and text[start - 1] in _BLANK else start
    if end - 1 >= taken and text[end - 1 : end] in _SIGNS:
        return text[end - 1]
    if end - 3 < taken or text[end - 3 : end] not in codes:
        return None
    return None if _is_ascii_letter(text[end - 4 : end - 3]) else text[end - 3 : end]


def _mark_after(text: str, end: int, codes: frozenset[str]) -> tuple[str, int]:
    """The sign or code that begins where the number ends, and where it ends; "" without one."""
    start = end + 1 if text[end : end + 1] in _BLANK else end
    if text[start : start + 1] in _SIGNS:
        return text[start], start + 1
    code = text[start : start + 3]
    if code in codes and not _is_ascii_letter(text[start + 3 : start + 4]):
        return code, start + 3
    return "", end


def _is_ascii_letter(char: str) -> bool:
    return char.isascii() and char.isalpha()


def contradicts(money: Money, *, said: Iterable[str], sources: Iterable[str]) -> bool:
    """Do the words speak of other money than the action moves?

    One text of what the agent says it wants, its intent or a text among the params, names sums, and
    none of them is this one; or every sum its sources name is smaller than this one. A source that
    names a larger one is ordinary: part of an order is refunded, half an invoice is paid.
    """
    wanted = Decimal(money.decimal)

    def same(code: str) -> bool:
        return code in (money.currency, "")

    for text in said:
        words = stated_amounts(text, currency=money.currency)
        if words and not any(amount == wanted and same(code) for amount, code in words):
            return True
    named = [a for text in sources for a in stated_amounts(text, currency=money.currency)]
    comparable = [amount for amount, code in named if same(code)]
    return bool(comparable) and all(amount < wanted for amount in comparable)


def _number(text: str) -> Decimal:
    """The number however its groups are separated: 1,250.00 and 1.250,00 and 1'250."""
    plain = text.translate(_SEPARATORS)
    last = max(plain.rfind("."), plain.rfind(","))
    whole, fraction = (plain, "") if last < 0 else (plain[:last], plain[last + 1 :])
    if len(fraction) == 3 and whole != "0":
        whole, fraction = whole + fraction, ""  # three digits are thousands
    whole = whole.replace(".", "").replace(",", "")
    return Decimal(f"{whole}.{fraction or '0'}")
