"""Where the two databases differ: SQLite embedded, PostgreSQL in production."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q

# sqlstate of PostgreSQL (Appendix A of its manual), names of SQLite's extended result codes
_NO_WRITING = {
    "25006",  # read-only transaction
    "53100",  # disk full
    "58030",  # I/O error
    "42501",  # insufficient privilege
}
_NO_WRITING_SQLITE = ("SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM")
_NO_INSERT = {
    *_NO_WRITING,
    "42P01",  # no such table
    "P0001",  # raised by a trigger
    "23000",  # the same, as our own triggers raise it
}
_NO_INSERT_SQLITE = (*_NO_WRITING_SQLITE, "SQLITE_CONSTRAINT_TRIGGER", "SQLITE_CORRUPT")


ID_SLACK = timedelta(hours=1)
"""How far the order of ids may be from the order of time: transactions commit when they like, and
ids of requests are made by hosts, whose clocks are never quite right."""


def is_postgres(other: BaseDatabaseWrapper | None = None) -> bool:
    """Whether this connection, the default one unless told otherwise, leads to PostgreSQL."""
    return (other or connection).vendor == "postgresql"


def hold(statement: str, values: Sequence[Any] | Mapping[str, Any]) -> None:
    """Hold the rows of a SELECT ... FOR SHARE, which the ORM does not know, until the commit.

    Nothing on SQLite: whoever writes holds the whole database.
    """
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute(statement, values)


def begins_with(column: str, text: str) -> Q:
    """Rows whose column begins with that text, letter case included, by an index of the column.

    SQLite's LIKE minds no case and uses no such index; PostgreSQL's order is the locale's, unless
    the index has `varchar_pattern_ops`.
    """
    if is_postgres():
        return Q(**{f"{column}__startswith": text})
    return Q(**{f"{column}__gte": text, f"{column}__lt": f"{text}\U0010ffff"})


def refuses_writes(error: BaseException | None) -> bool:
    """Whether the database answered that it can keep nothing now, whatever it is."""
    return _says(error, _NO_WRITING, _NO_WRITING_SQLITE)


def refuses_inserts(error: DatabaseError) -> bool:
    """Whether an INSERT was refused for good: not by a race, nor a lost connection.

    Ask it of an append-only table alone: elsewhere a trigger's refusal is a mistake of ours.
    """
    return _says(error, _NO_INSERT, _NO_INSERT_SQLITE)


def _says(error: BaseException | None, states: set[str], names: tuple[str, ...]) -> bool:
    cause = getattr(error, "__cause__", None)  # the driver's own, which Django wraps
    if is_postgres():
        return getattr(cause, "sqlstate", None) in states
    return str(getattr(cause, "sqlite_errorname", "")).startswith(names)
