"""What people type to find a request: each kind of term is looked up in an index of its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from approvals.models import Agent
from audit.lib.db import begins_with
from audit.lib.money import Money, MoneyError, exponent

SEARCHED_BY = (
    "An order, invoice, charge, customer or vendor by its number, an amount such as 150.00 EUR, "
    "an agent, or the whole id of a request."
)
_NUMBERED = (
    ("charge", "ch_"),
    ("order", "ord_"),
    ("account", "acct_"),
    ("shipment", "shp_"),
    ("bank account of", "acct_"),
    ("customer", ""),
    ("vendor bill", ""),
    ("ticket", ""),
    ("case", ""),
    ("deal", ""),
)
"""How targets are called, and what may stand before the number people have in their hand."""
_MOST_AGENTS = 20
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
    if any(letter.isdigit() for letter in term):
        return found | _numbered(term)
    if agents := list(_agents_called(term).values_list("pk", flat=True)[:_MOST_AGENTS]):
        found |= Q(agent__in=agents)
    return found


def _numbered(term: str) -> Q:
    """What carries that number, with or without the letters that systems put before it."""
    found = Q()
    for called, letters in _NUMBERED:
        found |= begins_with("target", f"{called} {term}")
        if letters and term[0].isdigit():
            found |= begins_with("target", f"{called} {letters}{term}")
    if term[0].isdigit():
        found |= begins_with("counterparty", f"acct_{term}")
        found |= begins_with("counterparty", f"customer of ch_{term}")
    found |= begins_with("counterparty", f"customer of {term}")
    if amount := _amount(term):
        found |= Q(amount_minor=amount.minor, currency=amount.currency)
    return found


def _agents_called(name: str) -> QuerySet[Agent]:
    """There are few agents: any letter case will do."""
    return Agent.objects.filter(name__istartswith=name).order_by("name")


def request_id_at(moment: datetime, *, after: bool) -> UUID:
    """The first id that a request of that time can have, or the last: ids begin with the time."""
    milliseconds = int((moment - _EPOCH) / timedelta(milliseconds=1))
    time = min(max(milliseconds, 0), 2**48 - 1)
    return UUID(int=time << 80 if after else (time << 80) | (2**80 - 1))


def _amount(term: str) -> Money | None:
    """The amount somebody typed, in whole units or to the cent; of the base currency."""
    typed = _AMOUNT.match(term.replace(",", ""))
    if typed is None:
        return None
    number, currency = typed[1], typed[2] or settings.BASE_CURRENCY
    try:
        if "." not in number and (decimals := exponent(currency)):
            number = f"{number}.{'0' * decimals}"
        return Money.parse(number, currency)
    except MoneyError:
        return None
