"""Only ASCII decimal strings with exactly the currency's decimals are money."""

from __future__ import annotations

import pytest

from audit.lib.money import Money, MoneyError, exponent


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("0.00", "EUR", 0),
        ("0.01", "EUR", 1),
        ("2000.00", "EUR", 200_000),
        ("500", "JPY", 500),
        ("0", "JPY", 0),
        ("1.234", "BHD", 1_234),
        ("10000000000000.00", "EUR", 10**15),
    ],
)
def test_a_plain_amount_is_read_and_written_back(text: str, currency: str, minor: int) -> None:
    money = Money.parse(text, currency)

    assert money == Money(minor, currency)
    assert money.decimal == text


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "Infinity", "-Infinity", "inf", "1e3", "1E3", "1.0e1", "1_000.00", "+1.00", "-1.00",
        " 1.00", "1.00 ", "1.00\n", "\t1.00", "1,000.00", "1.000,00", "01.00", "00.00", ".50", "1.",
        "1", "1.0", "1.000", "", "0x10", "1\u200b.00", "1.00€", "1.00 EUR",
        "1..00", "\uff11.\uff10\uff10", "\u0661.\u0660\u0660",  # full-width, Arabic-Indic
        "10000000000000.01", "9" * 30 + ".00", "9" * 5000 + ".00",
        1.0, 1, True, None, b"1.00", ["1.00"], {"amount": "1.00"},
    ],
)  # fmt: skip
def test_everything_else_is_refused(text: object) -> None:
    with pytest.raises(MoneyError):
        Money.parse(text, "EUR")


@pytest.mark.parametrize("text", ["500.00", "500.0", "500."])
def test_yen_have_no_decimals(text: str) -> None:
    with pytest.raises(MoneyError):
        Money.parse(text, "JPY")


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "XXZ", "E€R", "€"])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    with pytest.raises(MoneyError, match="ISO 4217"):
        exponent(currency)


def test_people_read_separators_and_the_code() -> None:
    assert str(Money(123_456_789, "EUR")) == "1,234,567.89 EUR"
    assert str(Money(1_500, "JPY")) == "1,500 JPY"


@pytest.mark.parametrize(
    ("typed", "minor"),
    [
        *[("750", 75_000), ("750.00", 75_000), ("750,5", 75_050), ("1.200,50", 120_050)],
        *[("1,200.50 EUR", 120_050), ("1.200", 120_000), ("1'200.50", 120_050)],
        *[("1.234.567", 123_456_700), ("0.05", 5), (" 12 ", 1_200)],
    ],
)
def test_people_type_money_in_their_own_spelling(typed: str, minor: int) -> None:
    assert Money.typed(typed, "EUR").minor == minor


@pytest.mark.parametrize("villain", ["", "abc", "-5", "1e9", "12.34.56", "1,2,3", "12.345,678"])
def test_what_could_be_two_amounts_or_none_is_refused(villain: str) -> None:
    with pytest.raises(MoneyError):
        Money.typed(villain, "EUR")


def test_what_money_says_of_itself_is_read_back() -> None:
    assert Money.read("1,250.00 EUR") == Money(125_000, "EUR")
