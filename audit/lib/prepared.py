"""Queries that the ORM compiles once a process, for what every proposal and decision asks.

To turn a queryset into SQL takes Django longer than the database takes to answer it. A prepared
query is written as a queryset all the same, with a `Given` in the place of each value:

    _of_agent = Prepared(lambda: Request.objects.filter(agent=Given("agent")).order_by("id"))

    _of_agent.all(agent=agent.pk)

It finds what the queryset would, in rows of the same kind. Number and kind of the values are
fixed: `None` is not a value that anything equals, and a list is as many places as it has members.

Who knows what is going to be asked asks it all in one statement:

    with asked_together(_of_agent.asking(agent=agent.pk), _of_owner.asking(owner=owner.pk)):
        ...  # here both answer what was found, without the database
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet
from django.db.models.expressions import Expression
from django.db.models.query import (
    ModelIterable,
    RelatedPopulator,
    ValuesListIterable,
    get_related_populators,
)
from django.db.models.sql.compiler import SQLCompiler
from django.utils.dateparse import parse_duration

from audit.lib import db_clock
from audit.lib.db import is_postgres
from audit.lib.statements import rows_of_statement

R = TypeVar("R")
Rows = Sequence[Sequence[Any]]


class Given(Expression):
    """The place of a value in a prepared query."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        return "%s", [self]


class Prepared(Generic[R]):
    """A queryset of models or of value lists, compiled when it is first asked.

    `shares`: on PostgreSQL it holds its rows FOR SHARE, which the ORM does not know, until the
    commit; SQLite has one writer at a time and needs none of it.
    """

    def __init__(self, build: Callable[[], QuerySet[Any, R]], *, shares: bool = False) -> None:
        self._build = build
        self._shares = shares
        self._compiled: _Compiled | None = None

    def all(self, **values: Any) -> list[R]:
        """Every row; `values` are those of the places, by name. Raises KeyError for one missing."""
        return self.asking(**values).all()

    def first(self, **values: Any) -> R | None:
        """The first row, if there is one; whoever wants no more to be read slices the query."""
        return self.asking(**values).first()

    def asking(self, **values: Any) -> Question:
        """The query with its values, for `asked_together`."""
        return Question(self, values)

    @property
    def compiled(self) -> _Compiled:
        if self._compiled is None:
            self._compiled = _compile(self._build(), shares=self._shares)
        return self._compiled


class Asked(Protocol):
    """What can be asked together."""

    @property
    def key(self) -> Hashable: ...

    def statement(self, own: BaseDatabaseWrapper) -> tuple[str, Sequence[Any]]:
        """A SELECT with every column under a name of its own, and its values."""

    def read(self, answer: Iterable[dict[str, Any]]) -> Rows:
        """Its rows from a JSON answer, as the driver would have given them."""

    def rows(self) -> Rows:
        """Its rows, asked for now."""


@dataclass(frozen=True, slots=True)
class Question:
    """A prepared query with its values."""

    prepared: Prepared[Any]
    values: dict[str, Any]

    def all(self) -> list[Any]:
        """Every row: those in hand, or asked for now."""
        rows = _in_hand.get().get(self.key)
        return self.prepared.compiled.found(self.rows() if rows is None else rows)

    def first(self) -> Any | None:
        return next(iter(self.all()), None)

    @property
    def key(self) -> tuple[Any, ...]:
        return self.prepared, *sorted(self.values.items())

    def statement(self, own: BaseDatabaseWrapper) -> tuple[str, Sequence[Any]]:
        self.prepared.compiled.demand_transaction(own)
        return self.prepared.compiled.aliased, self.params(own)

    def read(self, answer: Iterable[dict[str, Any]]) -> Rows:
        return self.prepared.compiled.read(answer)

    def rows(self) -> Rows:
        own = transaction.get_connection()  # this thread's
        self.prepared.compiled.demand_transaction(own)
        return rows_of_statement(self.prepared.compiled.sql, self.params(own), own)

    def params(self, own: BaseDatabaseWrapper) -> tuple[Any, ...]:
        return tuple(
            _adapted(self.values[one.name], own) if isinstance(one, Given) else one
            for one in self.prepared.compiled.params
        )


class NextKeys:
    """Keys for rows that are written later: who has them can name the rows before they are there.

    Each model here has one, in the order of its table's own. Drawn after the lock of what the rows
    belong to, they are in the order of time; one never used is a gap, as after a rollback. SQLite,
    which is asked and told one thing after the other anyway, has none before the row.
    """

    def __init__(self, *models: type[Model]) -> None:
        self.key = models

    def drawn(self) -> dict[type[Model], int]:
        """A key for each: those in hand, or drawn now; nothing on SQLite."""
        rows = _in_hand.get().get(self.key)
        (keys,) = self.rows() if rows is None else rows
        return dict(zip(self.key, keys, strict=False))

    def statement(self, own: BaseDatabaseWrapper) -> tuple[str, Sequence[Any]]:
        columns = (
            f"nextval(pg_get_serial_sequence('{model._meta.db_table}', '{model._meta.pk.column}'))"
            f" AS key{n}"
            for n, model in enumerate(self.key)
        )
        return f"SELECT {', '.join(columns)}", ()

    def read(self, answer: Iterable[dict[str, Any]]) -> Rows:
        return [list(row.values()) for row in answer]

    def rows(self) -> Rows:
        own = transaction.get_connection()
        return rows_of_statement(*self.statement(own), own) if is_postgres(own) else [()]


_in_hand: ContextVar[dict[Hashable, Rows]] = ContextVar("in_hand", default={})  # noqa: B039 - never written to


@contextmanager
def asked_together(*questions: Asked) -> Iterator[datetime]:
    """Ask all of it in one statement; in the block these queries answer what was found then.

    The time it was asked at, by the database's clock, comes with it. Nothing is written in the
    block that they read. What they lock is locked in their order, but none sees what another
    waited for: what the others rest on is locked before.
    """
    if is_postgres():
        at, found = _ask_all(questions)
    else:
        at, found = db_clock.now(), [one.rows() for one in questions]
    in_hand = {one.key: rows for one, rows in zip(questions, found, strict=True)}
    token = _in_hand.set({**_in_hand.get(), **in_hand})
    try:
        yield at
    finally:
        _in_hand.reset(token)


def _ask_all(questions: Sequence[Asked]) -> tuple[datetime, list[Rows]]:
    """The time and the rows of each, which the database hands over as one JSON array a question."""
    own = transaction.get_connection()
    parts = ["SELECT -1, to_json(clock_timestamp())"]
    params: list[Any] = []
    for place, question in enumerate(questions):
        sql, values = question.statement(own)
        parts.append(f"SELECT {place}, json_agg(found) FROM ({sql}) found")  # noqa: S608 - as the ORM wrote it
        params += values
    answers: dict[int, Any] = dict(rows_of_statement(" UNION ALL ".join(parts), params, own))
    return datetime.fromisoformat(answers[-1]), [
        question.read(answers[place] or ()) for place, question in enumerate(questions)
    ]


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    aliased: str
    """The same with every column under a name of its own."""
    params: tuple[Any, ...]
    loaders: tuple[Callable[[Any], Any] | None, ...]
    """What makes of JSON what the driver would have given, column by column."""
    converters: Mapping[int, tuple[Sequence[Callable[..., Any]], Any]]
    make: Callable[[Sequence[Any], str], Any]
    locks: bool

    def demand_transaction(self, own: BaseDatabaseWrapper) -> None:
        if self.locks and own.get_autocommit():
            raise transaction.TransactionManagementError("Rows are locked in a transaction only.")

    def read(self, answer: Iterable[dict[str, Any]]) -> Rows:
        """The rows of a JSON answer as the driver would have given them."""
        return [
            [
                value if load is None or value is None else load(value)
                for value, load in zip(row.values(), self.loaders, strict=True)
            ]
            for row in answer
        ]

    def found(self, rows: Rows) -> list[Any]:
        """What the queryset makes of the rows."""
        if not rows:
            return []
        own = transaction.get_connection()
        return [self.make(self._converted(row, own), own.alias) for row in rows]

    def _converted(self, row: Sequence[Any], own: BaseDatabaseWrapper) -> Sequence[Any]:
        if not self.converters:
            return row
        values = list(row)
        for place, (converters, expression) in self.converters.items():
            for convert in converters:
                values[place] = convert(values[place], expression, own)
        return values


@dataclass(frozen=True, slots=True)
class _ModelMaker:
    """Makes of a row what the ORM makes of it (`ModelIterable`), from what it knows beforehand."""

    model: type[Model]
    place: slice
    names: tuple[str, ...]
    joined: Sequence[RelatedPopulator]
    annotated: Mapping[str, int]

    @classmethod
    def of(cls, compiler: Any) -> _ModelMaker:
        known, select = compiler.klass_info, compiler.select
        place = slice(known["select_fields"][0], known["select_fields"][-1] + 1)
        return cls(
            known["model"],
            place,
            tuple(column.target.attname for column, _, _ in select[place]),
            get_related_populators(known, select, compiler.using),  # type: ignore[call-arg] # stubs of a newer Django
            compiler.annotation_col_map or {},
        )

    def __call__(self, row: Sequence[Any], alias: str) -> Model:
        made = self.model.from_db(alias, self.names, row[self.place])
        for joined in self.joined:
            joined.populate(row, made)
        for name, place in self.annotated.items():
            setattr(made, name, row[place])
        return made


def _make_tuple(row: Sequence[Any], alias: str) -> tuple[Any, ...]:
    return tuple(row)


def _compile(queryset: Any, *, shares: bool) -> _Compiled:
    compiler: Any = queryset.query.get_compiler(using=connection.alias)
    if queryset._iterable_class not in (ModelIterable, ValuesListIterable) or (
        queryset._prefetch_related_lookups
    ):
        raise ValueError("A prepared query finds models or value lists, in one statement.")
    aliased, _ = queryset.query.get_compiler(using=connection.alias).as_sql(with_col_aliases=True)
    sql, params = compiler.as_sql()
    share = " FOR SHARE" if shares and is_postgres() else ""
    columns = [column for column, _, _ in compiler.select[: compiler.col_count]]
    return _Compiled(
        sql + share,
        aliased + share,
        tuple(params),
        tuple(_LOADERS.get(one.output_field.get_internal_type()) for one in columns),
        compiler.get_converters(columns),
        make=_ModelMaker.of(compiler) if queryset._iterable_class is ModelIterable else _make_tuple,
        locks=queryset.query.select_for_update or shares,
    )


_LOADERS: dict[str, Callable[[Any], Any]] = {
    "DateTimeField": datetime.fromisoformat,
    "DateField": date.fromisoformat,
    "DurationField": parse_duration,
    "JSONField": json.dumps,  # which its field reads
    "UUIDField": UUID,
}


def _adapted(value: Any, own: BaseDatabaseWrapper) -> Any:
    """As the fields of the ORM adapt such values."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return own.ops.adapt_datetimefield_value(value)
    if isinstance(value, UUID) and not own.features.has_native_uuid_field:
        return value.hex
    return value
