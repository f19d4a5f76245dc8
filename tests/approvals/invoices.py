"""An invoice people decide on, and days ahead of it."""

from __future__ import annotations

from datetime import date, timedelta

from django.utils import timezone

INVOICE = {
    "vendor": "acct_5001",
    "amount": "640.00",
    "currency": "EUR",
    "invoice": "INV-1",
    "purchase_order": "PO-7731",
}


def in_days(days: int) -> date:
    return timezone.localdate() + timedelta(days=days)
