"""The database's clock: whatever is compared or ordered is stamped by it, and by nothing else.

A process whose own clock is wrong then does nothing early and nothing twice, and nobody becomes
somebody else's equal because two machines disagree about the time. Nothing but this module asks a
host's clock (`tests/architecture/test_clock.py`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.db import connection
from django.db.models import DateTimeField, Func, Value
from django.db.models.expressions import Combinable
from django.utils import timezone

from audit.lib.db import is_postgres
from audit.lib.one_look import once_a_page


def now() -> datetime:
    """The time now, by the database: one small statement. On SQLite the database is this machine.

    Read it after the lock it belongs to and pass it along (`at`).
    """
    if not is_postgres():
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (at,) = cursor.fetchone()
    found: datetime = at
    return found


@once_a_page
def now_of_page() -> datetime:
    """The time a page is made at, which it reads once; elsewhere it is `now()`."""
    return now()


def now_in_query() -> Combinable:
    """`now()` as a part of a query made anyway."""
    if is_postgres():
        return Func(function="clock_timestamp", output_field=DateTimeField())
    return Value(now(), output_field=DateTimeField())


def today() -> date:
    """The day it is where the company is, by the database's clock."""
    return timezone.localdate(now(), timezone.get_default_timezone())
