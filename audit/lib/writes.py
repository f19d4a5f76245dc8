"""Rows of several tables written in one statement: what goes with every move of a request.

The way to the database and back costs more than a row. PostgreSQL takes them all in one statement,
SQLite one after the other. So no part may rest on what another writes: what a trigger must find
there, like the event of a move, is written before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit.lib.db import Table, columns_of, is_postgres, table_of
from audit.lib.statements import rows_of_statement

Statement: TypeAlias = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Insert:
    """New rows of one model, which know their keys afterwards, or all did before (`NextKeys`).

    `unless_there`: what is there already is left as it is, and nobody learns new keys. `or_else` is
    SQL that says what becomes of a row that is there.
    """

    rows: Sequence[models.Model]
    unless_there: bool = False
    or_else: str = ""

    def statement(self, own: BaseDatabaseWrapper) -> Statement:
        table = self._table()
        conflict = self.or_else or ("ON CONFLICT DO NOTHING" if self.unless_there else "")
        return (
            f"{table.insert} {table.places(len(self.rows))} {conflict} RETURNING {table.key}",
            table.values(self.rows, own),
        )

    def has_written(self, keys: Sequence[Any], own: BaseDatabaseWrapper) -> None:
        if self._table().makes_keys and not self.unless_there:
            for row, key in zip(self.rows, keys, strict=True):
                row.pk = key
        for row in self.rows:
            row._state.adding, row._state.db = False, own.alias

    def _table(self) -> Table:
        first = self.rows[0]
        return table_of(type(first), keys_are_known=first.pk is not None)


@dataclass(frozen=True, slots=True)
class Update:
    """Columns of the rows that have certain values, by names of fields.

    Raises LookupError when there is no such row, unless `may_miss`.
    """

    model: type[models.Model]
    where: Mapping[str, Any]
    to: Mapping[str, Any]
    may_miss: bool = False

    @classmethod
    def of(cls, instance: models.Model, *names: str, **where: Any) -> Update:
        """These fields of one stored row, all of them for none; only `where` it is as found."""
        key: Any = instance._meta.pk
        changed = names or [f.name for f in instance._meta.concrete_fields if f is not key]
        known = columns_of(type(instance))
        to = {name: known[name].field.pre_save(instance, add=False) for name in changed}
        return cls(type(instance), {key.name: instance.pk, **where}, to)

    def statement(self, own: BaseDatabaseWrapper) -> Statement:
        changes, values = self._equal(self.to, own)
        matches, keys = self._equal(self.where, own)
        table, key = self.model._meta.db_table, table_of(self.model).key
        return (
            f'UPDATE "{table}" SET {", ".join(changes)} '  # noqa: S608 - our own names
            f"WHERE {' AND '.join(matches)} RETURNING {key}",
            values + keys,
        )

    def has_written(self, keys: Sequence[Any], own: BaseDatabaseWrapper) -> None:
        if not keys and not self.may_miss:
            raise LookupError(f"There is no such {self.model._meta.label}: {dict(self.where)}")

    def _equal(
        self, values: Mapping[str, Any], own: BaseDatabaseWrapper
    ) -> tuple[list[str], list[Any]]:
        known = columns_of(self.model)
        columns = [known[name] for name in values]
        return (
            [f"{column.quoted} = %s" for column in columns],
            [
                column.stored(value, own)
                for column, value in zip(columns, values.values(), strict=True)
            ],
        )


Write: TypeAlias = Insert | Update


def write_together(*writes: Write) -> None:
    """Write it all: on PostgreSQL in one statement."""
    own = transaction.get_connection()
    written = [one for one in writes if not isinstance(one, Insert) or one.rows]
    statements = [one.statement(own) for one in written]
    if is_postgres() and len(written) > 1:
        found = _in_one(statements, own)
    else:
        found = [_alone(statement, own) for statement in statements]
    for one, keys in zip(written, found, strict=True):
        one.has_written(keys, own)


def _in_one(statements: Sequence[Statement], own: BaseDatabaseWrapper) -> Sequence[Sequence[Any]]:
    """The keys of the rows each of them wrote."""
    parts = ", ".join(f"part{n} AS ({sql})" for n, (sql, _) in enumerate(statements))
    keys = ", ".join(f"ARRAY(TABLE part{n})" for n in range(len(statements)))
    every = [value for _, values in statements for value in values]
    (row,) = rows_of_statement(f"WITH {parts} SELECT {keys}", every, own)
    return row


def _alone(statement: Statement, own: BaseDatabaseWrapper) -> list[Any]:
    return [key for (key,) in rows_of_statement(*statement, own)]
