"""What people type to find a request: each kind of term is looked up in an index of its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from audit.lib.db import begins_with
from audit.lib.money import Money, MoneyError

SEARCHED_BY = (
    "The whole id of a request, an amount such as 150.00 EUR, "
    "or the beginning of a target, an invoice or a customer."
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AMOUNT = re.compile(r"\A([0-9]+(?:\.[0-9]+)?) ?([A-Z]{3})?\Z")


def matching(term: str) -> Q:
    """The requests a term finds; an empty one finds all of them.

    Beginnings are spelt as they are spelt there. What an invoice is called is found without the
    word before it.
    """
    term = term.strip()
    if not term:
        return Q()
    try:
        return Q(pk=UUID(term))
    except ValueError:
        pass  # no id
    found = begins_with("target", term) | begins_with("counterparty", term)
    found |= begins_with("target", f"invoice {term}")
    if amount := _amount(term):
        found |= Q(amount_minor=amount.minor, currency=amount.currency)
    return found


def request_id_at(moment: datetime, *, after: bool) -> UUID:
    """The first id that a request of that time can have, or the last: ids begin with the time."""
    milliseconds = int((moment - _EPOCH) / timedelta(milliseconds=1))
    time = min(max(milliseconds, 0), 2**48 - 1)
    return UUID(int=time << 80 if after else (time << 80) | (2**80 - 1))


def _amount(term: str) -> Money | None:
    """The amount somebody typed; without a currency it is in the base currency."""
    typed = _AMOUNT.match(term.replace(",", ""))
    try:
        return Money.parse(typed[1], typed[2] or settings.BASE_CURRENCY) if typed else None
    except MoneyError:
        return None
