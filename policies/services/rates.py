"""Exchange rates: what sums over currencies are counted in, and which rates are too old to use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib.db_clock import now
from audit.lib.money import Money, MoneyError, exponent
from audit.services import record, stream
from policies.exceptions import PolicyError
from policies.models import ExchangeRate
from policies.services.dual_control import check_may_configure

STALE_AFTER = timedelta(days=7)
"""A rate older than that counts as missing: nobody knows what the money is worth."""

STREAM = "exchange rates"

_RATE = re.compile(r"\A(0|[1-9][0-9]{0,9})(\.[0-9]{1,10})?\Z", re.ASCII)
_MOST = 2**53  # of these a thousand still fit a 64-bit sum


@transaction.atomic
def set_rate(currency: str, day: date, rate: Decimal, *, actor: Actor) -> ExchangeRate:
    """Say what one unit of the currency is worth in the base currency from that day on.

    Rows never change: the newest row of the newest day counts. Raises PolicyError:
    not_ops_admin, unknown_currency, base_currency, bad_rate.
    """
    subject = stream(STREAM)
    check_may_configure(actor)
    try:
        exponent(currency)
    except MoneyError as error:
        raise PolicyError("unknown_currency", str(error)) from error
    if currency == settings.BASE_CURRENCY:
        raise PolicyError("base_currency", f"{currency} is the base currency: it is always 1.")
    if not rate.is_finite() or not _RATE.match(f"{rate:f}") or rate <= 0:
        raise PolicyError(
            "bad_rate", "A rate is above 0, with at most ten digits before and after the point."
        )
    row = ExchangeRate.objects.create(
        currency=currency,
        day=day,
        rate=rate,
        set_by_id=int(actor.id) if actor.kind == ActorKind.HUMAN else None,
        created_at=now(),
    )
    record(
        AuditCode.RATE_SET,
        actor=actor,
        subject=subject,
        data={
            "currency": currency,
            "day": day.isoformat(),
            "rate": f"{rate:f}",
            "base": settings.BASE_CURRENCY,
            "row": row.pk,
        },
    )
    return row


def to_base(money: Money, on: date) -> int | None:
    """The amount in minor units of the base currency, halves rounded up; None without a rate.

    The newest row of the newest day up to `on` counts, unless that day is longer ago than
    STALE_AFTER. Nothing is rounded before the end.
    """
    worth = _worth(money, on)
    if worth is None:
        return None
    rounded = floor(worth + Fraction(1, 2))
    return rounded if money.currency == settings.BASE_CURRENCY or rounded < _MOST else None


def is_above(amount: Money, limit: Money, on: date) -> bool | None:
    """Is the amount worth more than the limit that day? None where a rate to tell is missing.

    Amounts of two currencies are compared exactly, by what they are worth in the base currency.
    """
    if amount.currency == limit.currency:
        return amount.minor > limit.minor
    worth, most = _worth(amount, on), _worth(limit, on)
    return None if worth is None or most is None else worth > most


def currencies_without_rate(currencies: Iterable[str], on: date) -> list[str]:
    """Those of them that have no rate that may be used that day, in the order given."""
    return [currency for currency in currencies if _rate(currency, on) is None]


def _worth(money: Money, on: date) -> Fraction | None:
    """In minor units of the base currency, exactly."""
    if money.currency == settings.BASE_CURRENCY:
        return Fraction(money.minor)
    rate = _rate(money.currency, on)
    if rate is None:
        return None
    scale = Fraction(10) ** (exponent(settings.BASE_CURRENCY) - exponent(money.currency))
    return money.minor * Fraction(rate) * scale


def _rate(currency: str, on: date) -> Decimal | None:
    if currency == settings.BASE_CURRENCY:
        return Decimal(1)
    row = (
        ExchangeRate.objects.filter(currency=currency, day__lte=on).order_by("-day", "-id").first()
    )
    return None if row is None or row.day < on - STALE_AFTER else row.rate


def outdated_currencies(on: date) -> list[str]:
    """Currencies that had a rate once and have none that may be used that day."""
    newest = (
        ExchangeRate.objects.filter(day__lte=on)
        .order_by("currency")
        .values_list("currency")
        .annotate(day=Max("day"))
    )
    return [currency for currency, day in newest if day < on - STALE_AFTER]
