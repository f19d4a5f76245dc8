"""Money as the trail writes it: integer minor units and an ISO 4217 code. Floats never."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from babel import Locale
from babel.core import get_global

_DECIMAL_STRING = re.compile(r"\A(0|[1-9][0-9]*)(\.[0-9]+)?\Z", re.ASCII)
_LARGEST_MINOR = 10**15  # far above any real payment, far below a 64-bit column


class MoneyError(ValueError):
    """The text is not an amount of that currency; the message says what one looks like."""


@cache
def exponent(currency: str) -> int:
    """How many decimals the currency has (ISO 4217): EUR 2, JPY 0, BHD 3."""
    if currency not in _currencies():
        raise MoneyError(f"'{currency}' is not an ISO 4217 currency code.")
    fractions = get_global("currency_fractions")
    return int(fractions.get(currency, fractions["DEFAULT"])[0])


@cache
def _currencies() -> frozenset[str]:
    return frozenset(Locale("en").currencies)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents for EUR) of one currency."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: object, currency: str) -> Money:
        """Read a decimal string that has exactly the currency's decimals; raises MoneyError."""
        decimals = exponent(currency)
        shape = "0" if decimals == 0 else "0." + "0" * decimals
        if not isinstance(text, str) or not _DECIMAL_STRING.match(text):
            raise MoneyError(f'Must be a decimal string such as "{shape}", digits 0-9 only.')
        _, _, fraction = text.partition(".")
        if len(fraction) != decimals or (decimals == 0 and "." in text):
            raise MoneyError(
                f'{currency} amounts have exactly {decimals} decimals, as in "{shape}".'
            )
        minor = int(text.replace(".", "")) if len(text) <= 24 else _LARGEST_MINOR + 1
        if minor > _LARGEST_MINOR:
            raise MoneyError("The amount is larger than any Countersign handles.")
        return cls(minor, currency)

    @classmethod
    def read(cls, text: str) -> Money:
        """The reverse of `str`: "1,250.00 EUR". Raises MoneyError."""
        number, _, currency = text.partition(" ")
        return cls.parse(number.replace(",", ""), currency)

    @classmethod
    def typed(cls, text: str, currency: str) -> Money:
        """Read what a person typed, in their spelling: "750", "750.00", "1.200,50", "1,200.50 EUR".

        The last mark is the decimal one, unless exactly three digits follow a mark that no other
        kind follows: then it parts thousands. Raises MoneyError.
        """
        plain = "".join(text.split()).upper().removesuffix(currency).replace("'", "")
        return cls.parse(_canonical(plain, exponent(currency)) if plain else "", currency)

    @property
    def decimal(self) -> str:
        """The canonical decimal string, without separators: "1250.00"."""
        return f"{Decimal(self.minor).scaleb(-exponent(self.currency)):f}"

    def __str__(self) -> str:
        places = exponent(self.currency)
        return f"{Decimal(self.minor).scaleb(-places):,.{places}f} {self.currency}"


def _canonical(typed: str, decimals: int) -> str:
    """The typed number with a point before exactly that many decimals, and no other mark."""
    mark = max(".,", key=typed.rfind)
    whole, _, fraction = typed.rpartition(mark) if mark in typed else (typed, "", "")
    other = "," if mark == "." else "."
    is_grouping = len(fraction) == 3 and decimals != 3 and other not in whole
    if mark in whole or is_grouping:  # no decimal mark at all
        whole, fraction = typed, ""
    groups = whole.replace(",", ".").split(".")
    are_thousands = all(len(group) == 3 for group in groups[1:]) and len(groups[0]) <= 3
    if len(groups) > 1 and not are_thousands:
        raise MoneyError(f'"{typed}" is no amount: write it as 1200.50 or 1.200,50.')
    number = "".join(groups).lstrip("0") or "0"
    return f"{number}.{fraction.ljust(decimals, '0')}" if decimals or fraction else number
