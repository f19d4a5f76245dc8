"""Where the two databases differ: SQLite embedded, PostgreSQL in production."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID

from django.db import DatabaseError, connection, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q

M = TypeVar("M", bound=models.Model)

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


def _given(
    model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[str, list[Any]]:
    """The rows as a table `given` for a FROM clause, and its values: one statement, many rows.

    `names` are fields of the model, which give the columns their names and types.
    """
    fields = [cast("models.Field[Any, Any]", model._meta.get_field(name)) for name in names]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    own = transaction.get_connection()  # found once, not once a value
    prepared = [
        [field.get_db_prep_save(row[place], own) for row in rows]
        for place, field in enumerate(fields)
    ]
    if is_postgres():  # a value for each column: thousands of places cost more than the work
        kinds = [str(field.rel_db_type(connection)).partition("(")[0] for field in fields]
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)  # a cast to a length would cut
        return f"unnest({arrays}) AS given({columns})", prepared
    places = ", ".join(["(" + ", ".join(["%s"] * len(fields)) + ")"] * len(rows))
    rows_as = f"WITH given({columns}) AS (VALUES {places}) SELECT * FROM given"  # noqa: S608 - our own names
    return f"({rows_as}) AS given", [value for row in zip(*prepared, strict=True) for value in row]


def insert(instances: Sequence[M]) -> Sequence[M]:
    """`bulk_create` of a few, without the ORM's compiler; they know their keys afterwards.

    For what every proposal, decision and execution writes. A test holds it against `bulk_create`.
    """
    if not instances:
        return instances
    table, own = table_of(type(instances[0])), transaction.get_connection()
    returning = f"RETURNING {table.key}" if table.makes_keys else ""
    with own.cursor() as cursor:
        places = table.places(len(instances))
        cursor.execute(f"{table.insert} {places} {returning}", table.values(instances, own))
        keys = cursor.fetchall() if table.makes_keys else ()
    for one, (key,) in zip(instances, keys, strict=bool(keys)):
        one.pk = key
    for one in instances:
        one._state.adding, one._state.db = False, own.alias
    return instances


def insert_one(instance: M) -> M:
    """`insert` of a single row, which it returns."""
    insert([instance])
    return instance


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a model, as it is written."""

    field: models.Field[Any, Any]
    quoted: str
    quick: Mapping[type, Callable[[Any], Any] | None]
    """What the field would make of these kinds of values, without asking it; None: the same."""

    def stored(self, value: Any, own: BaseDatabaseWrapper) -> Any:
        """What the driver gets for a value of the field."""
        kind = type(value)
        if kind in self.quick:
            convert = self.quick[kind]
            return value if convert is None else convert(value)
        return self.field.get_db_prep_save(value, own)

    def stored_of(self, rows: Sequence[models.Model], own: BaseDatabaseWrapper) -> list[Any]:
        """The same of each row. What is the same in the row before is converted once."""
        stored: list[Any] = []
        before: Any = object()
        for one in rows:
            value = self.field.pre_save(one, add=True)
            stored.append(stored[-1] if value is before else self.stored(value, own))
            before = value
        return stored


@cache
def columns_of(model: type[models.Model]) -> dict[str, Column]:
    """The columns of the model's table, by the names of their fields."""
    return {
        field.name: Column(field, f'"{field.column}"', _quick(field))
        for field in model._meta.concrete_fields
    }


def _quick(field: models.Field[Any, Any]) -> Mapping[type, Callable[[Any], Any] | None]:
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    name = field.get_internal_type()
    if name in _SAME_FOR_BOTH:
        return {_SAME_FOR_BOTH[name]: None, _NONE: None}
    if not is_postgres():
        return {}
    if name in _SAME_FOR_POSTGRES:
        return {_SAME_FOR_POSTGRES[name]: None, _NONE: None}
    if name == "DateTimeField":
        return {datetime: _with_zone, _NONE: None}
    whole = connection.ops.integerfield_type_map.get(name)  # type: ignore[attr-defined] # PostgreSQL's
    return {int: whole, _NONE: None} if whole else {}


_NONE = type(None)
_SAME_FOR_BOTH: dict[str, type] = {"CharField": str, "TextField": str, "BooleanField": bool}
_SAME_FOR_POSTGRES: dict[str, type] = {"UUIDField": UUID, "AutoField": int, "BigAutoField": int}


def _with_zone(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at} says no zone, so nobody knows when that is.")
    return at


@dataclass(frozen=True, slots=True)
class Table:
    """How rows of one model are written, in the words of SQL."""

    columns: tuple[Column, ...]
    """All but a key that the database makes."""
    insert: str
    key: str
    makes_keys: bool

    def places(self, rows: int) -> str:
        """For the values of that many rows."""
        return ", ".join([f"({', '.join(['%s'] * len(self.columns))})"] * rows)

    def values(self, rows: Sequence[models.Model], own: BaseDatabaseWrapper) -> list[Any]:
        """What is stored of the rows, one after the other."""
        columns = [column.stored_of(rows, own) for column in self.columns]
        return [value for row in zip(*columns, strict=True) for value in row]


@cache
def table_of(model: type[models.Model], *, keys_are_known: bool = False) -> Table:
    """How the model's rows are written; `keys_are_known`: with keys drawn for them before."""
    key: Any = model._meta.pk
    makes_keys = isinstance(key, models.AutoField) and not keys_are_known
    columns = [one for one in columns_of(model).values() if not (makes_keys and one.field is key)]
    names = ", ".join(column.quoted for column in columns)
    return Table(
        columns=tuple(columns),
        insert=f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES',
        key=f'"{key.column}"',
        makes_keys=makes_keys,
    )


def insert_rows(
    model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert many rows in one statement; each has the values of the fields `names`, in order."""
    if not rows:
        return
    given, values = _given(model, names, rows)
    fields = [cast("models.Field[Any, Any]", model._meta.get_field(name)) for name in names]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({columns}) SELECT {columns} FROM {given}",  # noqa: S608 - our own names
            values,
        )


def insert_all(instances: Sequence[models.Model]) -> None:
    """`bulk_create` of many, without the ORM's compiler: keys of new rows are not brought back."""
    if not instances:
        return
    model = type(instances[0])
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    rows = [[getattr(one, field.attname) for field in fields] for one in instances]
    insert_rows(model, [field.name for field in fields], rows)


def update_rows(
    model: type[models.Model],
    rows: Sequence[Sequence[Any]],
    *,
    by: Sequence[str],
    moves: Mapping[str, str],
) -> int:
    """Update many rows, each with values of its own, in one statement. Returns how many there were.

    Each row has the values of the fields `by`, which name it, and then those of `moves`: field to
    SQL, in which `{own}` is the row's own column and `{given}` the value given for it.
    """
    if not rows:
        return 0
    quoted = {name: f'"{model._meta.get_field(name).column}"' for name in (*by, *moves)}  # type: ignore[union-attr]
    table = model._meta.db_table
    given, values = _given(model, (*by, *moves), rows)
    changes = ", ".join(
        f"{quoted[name]} = "
        + sql.format(own=f"{table}.{quoted[name]}", given=f"given.{quoted[name]}")
        for name, sql in moves.items()
    )
    matches = " AND ".join(f"{table}.{quoted[name]} = given.{quoted[name]}" for name in by)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {changes} FROM {given} WHERE {matches}",  # noqa: S608 - our own names
            values,
        )
        return cursor.rowcount


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
