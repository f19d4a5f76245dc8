"""What it looks like when a database answers and refuses to keep anything."""

from __future__ import annotations

from django.db import DatabaseError, connection

# sqlstate of PostgreSQL (Appendix A of its manual), names of SQLite's extended result codes
_NO_WRITING = {"25006", "53100", "58030"}  # read-only transaction, disk full, I/O error
_NO_WRITING_SQLITE = ("SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM")
_NO_EVENTS = {
    *_NO_WRITING,
    "42501",  # insufficient privilege
    "42P01",  # no such table
    "P0001",  # raised by a trigger
    "23000",  # the same, as our own triggers raise it
}
_NO_EVENTS_SQLITE = (*_NO_WRITING_SQLITE, "SQLITE_CONSTRAINT_TRIGGER", "SQLITE_CORRUPT")


class TrailUnwritable(DatabaseError):
    """The database refuses events. What cannot be recorded does not happen."""


def refuses_writes(error: BaseException | None) -> bool:
    """Whether the database said that it can keep nothing now, whatever it is."""
    return isinstance(error, TrailUnwritable) or _says(error, _NO_WRITING, _NO_WRITING_SQLITE)


def refuses_events(error: DatabaseError) -> bool:
    """Whether an INSERT into the trail was refused for good: not by a race, nor a lost connection.

    Asked only of that statement: elsewhere a trigger's refusal is a mistake of ours.
    """
    return _says(error, _NO_EVENTS, _NO_EVENTS_SQLITE)


def _says(error: BaseException | None, states: set[str], names: tuple[str, ...]) -> bool:
    cause = getattr(error, "__cause__", None)  # the driver's own, which Django wraps
    if connection.vendor == "postgresql":
        return getattr(cause, "sqlstate", None) in states
    return str(getattr(cause, "sqlite_errorname", "")).startswith(names)
