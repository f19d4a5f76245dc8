"""Reading the whole trail: one snapshot, chain order, constant memory, no model instances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, cast

from django.db import connection, transaction

CHUNK = 1_000  # larger chunks fall out of the processor's cache: 5,000 read a sixth slower


class Row(NamedTuple):
    """One event as verification needs it; `body` is what its MAC covers after the previous MAC."""

    subject_type: str
    subject_id: str
    seq: int
    event_id: int
    state: str
    key_id: str
    mac: str
    body: bytes


class Subject(NamedTuple):
    """What a chain belongs to, as the trail names it. Sorts as the database sorts chains."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Span:
    """Chains from `first` up to, not including, `end`; None is open."""

    first: Subject | None = None
    end: Subject | None = None


EVERYTHING = Span()

# The databases build the same bytes as `chain.message`; a test compares them column by column.
_BODY_POSTGRES = """convert_to(concat_ws(E'\\n', subject_type, subject_id, seq, code, actor_kind,
    actor_id, actor_name,
    to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), state, data), 'UTF8')"""
_BODY_SQLITE = """CAST(subject_type || char(10) || subject_id || char(10) || seq || char(10) || code
    || char(10) || actor_kind || char(10) || actor_id || char(10) || actor_name || char(10)
    || replace(at, ' ', 'T') || iif(instr(at, '.'), '', '.000000') || '+00:00'
    || char(10) || state || char(10) || data AS BLOB)"""


def _query(body: str, span: Span) -> tuple[str, list[str]]:
    where: list[str] = []
    values: list[str] = []
    for comparison, bound in ((">=", span.first), ("<", span.end)):
        if bound is not None:
            where.append(f"(subject_type, subject_id) {comparison} (%s, %s)")
            values.extend(bound)
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    statement = (
        f"SELECT subject_type, subject_id, seq, id, state, key_id, mac, {body} "  # noqa: S608 - fixed text
        f"FROM audit_auditevent {condition} ORDER BY subject_type, subject_id, seq"
    )
    return statement, values


def rows_in_chain_order(span: Span = EVERYTHING) -> Iterator[Row]:
    """Stream the events of the span, chain by chain, each chain by seq.

    The rows are plain tuples in Row's order: building a named tuple each costs a fifth of the
    walk.
    """
    if connection.vendor == "postgresql":
        yield from _postgres_rows(span)
    else:
        yield from _sqlite_rows(span)


def _postgres_rows(span: Span) -> Iterator[Row]:
    statement, values = _query(_BODY_POSTGRES, span)
    connection.ensure_connection()
    with connection.connection.cursor(name="audit_walk") as cursor:
        cursor.itersize = CHUNK
        cursor.execute(statement, values, binary=True)
        while chunk := cursor.fetchmany(CHUNK):
            yield from cast("list[Row]", chunk)


def _sqlite_rows(span: Span) -> Iterator[Row]:
    """SQLite stores any bytes as text, so a tamperer may leave some that are not UTF-8."""
    statement, values = _query(_BODY_SQLITE, span)
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        while True:
            connection.connection.text_factory = _lenient_text
            try:
                chunk = cursor.fetchmany(CHUNK)
            finally:
                connection.connection.text_factory = str
            if not chunk:
                return
            yield from cast("list[Row]", chunk)


def _lenient_text(stored: bytes) -> str:
    return stored.decode("utf-8", "backslashreplace")


@contextmanager
def one_snapshot(shared: str | None = None) -> Iterator[None]:
    """Let every read of the block see one moment, while writers carry on.

    PostgreSQL: a repeatable-read transaction, `shared` naming another process's snapshot.
    SQLite: a deferred transaction, which in WAL mode never blocks a writer (Django's own would
    take the write lock). Inside an open transaction the caller's snapshot is used as it is.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            if shared is not None:
                cursor.execute("SET TRANSACTION SNAPSHOT %s", [shared])
            yield
    else:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


def exported_snapshot() -> str:
    """Name this transaction's snapshot for `one_snapshot` in other processes (PostgreSQL)."""
    return str(_one("SELECT pg_export_snapshot()")[0])


def spans(parts: int) -> list[Span]:
    """Cut the trail into at most that many spans of about as many events, between chains."""
    total = int(_one("SELECT count(*) FROM audit_auditevent")[0])
    cuts: list[Subject] = []
    for part in range(1, parts):
        found = _one(
            "SELECT subject_type, subject_id FROM audit_auditevent "
            "ORDER BY subject_type, subject_id, seq LIMIT 1 OFFSET %s",
            [total * part // parts],
        )
        if found and Subject(*found) not in cuts:
            cuts.append(Subject(*found))
    bounds = [None, *cuts, None]
    return [Span(first, end) for first, end in pairwise(bounds)]


def _one(statement: str, values: list[Any] | None = None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or [])
        return cursor.fetchone()
