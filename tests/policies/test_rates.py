"""Exchange rates: set by ops admins, never changed, and not used once they are old."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from django.db import DatabaseError, transaction
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from audit.actors import Actor
from audit.lib.money import Money, exponent
from audit.models import AuditEvent
from policies.exceptions import PolicyError
from policies.models import ExchangeRate, User
from policies.services import rates, roles
from policies.services.people import create_user
from policies.services.rates import set_rate, to_base
from tests.database import triggers_off

INSTALLER = Actor.system("installation")
DAY = date(2026, 11, 20)
pytestmark = pytest.mark.django_db


def make_person(name: str, role: str) -> User:
    roles.sync_roles(actor=INSTALLER)
    return create_user(actor=INSTALLER, username=name, roles=[role])


def test_an_ops_admin_sets_a_rate_and_the_trail_says_who() -> None:
    ada = make_person("ada", "ops admin")

    row = set_rate("USD", DAY, Decimal("0.92"), actor=Actor.human(ada))

    event = AuditEvent.objects.get(code="rate.set")
    assert (row.currency, row.day, row.set_by) == ("USD", DAY, ada)
    assert (event.actor_name, '"rate":"0.92"' in event.data) == ("ada", True)


@pytest.mark.parametrize("role", ["manager", "finance", "agent owner", "auditor", "risk owner"])
def test_nobody_else_does(role: str) -> None:
    villain = make_person("vera", role)
    User.objects.filter(pk=villain.pk).update(is_superuser=True)

    with pytest.raises(PolicyError) as refused:
        set_rate("USD", DAY, Decimal("9.2"), actor=Actor.human(villain))

    assert refused.value.code == "not_ops_admin"
    assert not ExchangeRate.objects.exists()


@pytest.mark.parametrize(
    ("currency", "rate", "code"),
    [
        ("XXY", "1", "unknown_currency"),
        ("usd", "1", "unknown_currency"),
        ("EUR", "2", "base_currency"),
        ("USD", "0", "bad_rate"),
        ("USD", "-1", "bad_rate"),
        ("USD", "NaN", "bad_rate"),
        ("USD", "Infinity", "bad_rate"),
        ("USD", "0.00000000001", "bad_rate"),
        ("USD", "12345678901", "bad_rate"),
    ],
)
def test_what_is_no_rate_is_refused(currency: str, rate: str, code: str) -> None:
    with pytest.raises(PolicyError) as refused:
        set_rate(currency, DAY, Decimal(rate), actor=INSTALLER)

    assert refused.value.code == code
    assert not ExchangeRate.objects.exists()


def test_the_newest_row_of_the_newest_day_so_far_counts() -> None:
    set_rate("USD", DAY - timedelta(days=1), Decimal("0.90"), actor=INSTALLER)
    set_rate("USD", DAY, Decimal("9.1"), actor=INSTALLER)
    set_rate("USD", DAY, Decimal("0.91"), actor=INSTALLER)  # the correction
    set_rate("USD", DAY + timedelta(days=1), Decimal("0.95"), actor=INSTALLER)

    assert to_base(Money(10_000, "USD"), DAY) == 9_100


def test_rows_never_change() -> None:
    row = set_rate("USD", DAY, Decimal("0.91"), actor=INSTALLER)

    with pytest.raises(DatabaseError), transaction.atomic():
        ExchangeRate.objects.filter(pk=row.pk).update(rate=Decimal(9))


def test_a_week_old_rate_counts_and_an_older_one_is_no_rate() -> None:
    set_rate("USD", DAY, Decimal("0.91"), actor=INSTALLER)

    assert to_base(Money(100, "USD"), DAY + rates.STALE_AFTER) == 91
    assert to_base(Money(100, "USD"), DAY + rates.STALE_AFTER + timedelta(days=1)) is None
    assert to_base(Money(100, "USD"), DAY - timedelta(days=1)) is None
    assert to_base(Money(100, "GBP"), DAY) is None


def test_the_base_currency_is_itself_whatever_anybody_set(settings: Settings) -> None:
    assert to_base(Money(12_345, "EUR"), DAY) == 12_345
    settings.BASE_CURRENCY = "JPY"
    set_rate("EUR", DAY, Decimal("163.555"), actor=INSTALLER)

    assert to_base(Money(100, "EUR"), DAY) == 164  # yen have no decimals


def test_an_amount_no_sum_could_hold_is_no_amount() -> None:
    set_rate("USD", DAY, Decimal("9999999999"), actor=INSTALLER)

    assert to_base(Money(10**15, "USD"), DAY) is None


@given(
    minor=st.integers(0, 10**15),
    rate=st.decimals("0.0000000001", "99", places=10, allow_nan=False),
    currency=st.sampled_from(["USD", "JPY", "BHD"]),
)
def test_halves_are_rounded_up_and_no_digit_is_lost_before(
    minor: int, rate: Decimal, currency: str
) -> None:
    with triggers_off():
        ExchangeRate.objects.all().delete()
    set_rate(currency, DAY, rate, actor=INSTALLER)

    found = to_base(Money(minor, currency), DAY)

    exact = Fraction(minor) * Fraction(rate) * Fraction(10) ** (2 - exponent(currency))
    if found is None:
        assert exact >= 2**53 - 1
    else:
        assert -Fraction(1, 2) < Fraction(found) - exact <= Fraction(1, 2)
