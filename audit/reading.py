"""Reading the whole trail: one snapshot, chain order, constant memory, no model instances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple, cast

import psycopg
from django.db import connection, transaction
from psycopg import sql
from psycopg.pq import TransactionStatus

from audit import chain
from audit.lib.db import is_postgres

CHUNK = 1_000  # larger chunks fall out of the processor's cache: 5,000 read a sixth slower


class Row(NamedTuple):
    """One event as verification needs it; from `subject_type` on, what `chain.message` takes.

    `at` is empty where a tamperer left what is no time.
    """

    event_id: int
    key_id: str
    mac: str
    subject_type: str
    subject_id: str
    seq: int
    code: str
    actor_kind: str
    actor_id: str
    actor_name: str
    at: str
    state: str
    data: str


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

# As `chain.moment` spells it; PostgreSQL's own, from "infinity" to years before Christ, is none.
_AT_POSTGRES = """CASE WHEN at BETWEEN '0001-01-02' AND '9999-12-30'
    THEN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"') ELSE '' END"""
_AT_SQLITE = "at || ''"  # as text: Django's own converter raises at what is no time
_AT = Row._fields.index("at")


def _query(at: str, span: Span) -> tuple[str, list[str]]:
    where: list[str] = []
    values: list[str] = []
    for comparison, bound in ((">=", span.first), ("<", span.end)):
        if bound is not None:
            where.append(f"(subject_type, subject_id) {comparison} (%s, %s)")
            values.extend(bound)
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    columns = ", ".join({"event_id": "id", "at": at}.get(name, name) for name in Row._fields)
    statement = (
        f"SELECT {columns} FROM audit_auditevent {condition} "  # noqa: S608 - our columns
        "ORDER BY subject_type, subject_id, seq"
    )
    return statement, values


def rows_in_chain_order(span: Span = EVERYTHING) -> Iterator[Row]:
    """Stream the events of the span, chain by chain, each chain by seq.

    The rows are plain tuples in Row's order: building a named tuple each costs a fifth of the
    walk.
    """
    if is_postgres():
        yield from _postgres_rows(span)
    else:
        yield from _sqlite_rows(span)


def _postgres_rows(span: Span) -> Iterator[Row]:
    """PostgreSQL makes the next chunk while one is looked at.

    The pipeline does that. Other statements of this connection may come between the chunks.
    """
    statement, values = _query(_AT_POSTGRES, span)
    connection.ensure_connection()
    driver = connection.connection
    fetch = f"FETCH {CHUNK} FROM audit_walk"
    try:
        with driver.pipeline():
            # PostgreSQL binds no values in a DECLARE: the client does
            psycopg.ClientCursor(driver).execute(
                f"DECLARE audit_walk NO SCROLL CURSOR FOR {statement}", values
            )
            ahead = driver.execute(fetch, binary=True)
            while chunk := ahead.fetchall():
                ahead = driver.execute(fetch, binary=True)
                yield from cast("list[Row]", chunk)
    finally:
        if driver.info.transaction_status == TransactionStatus.INTRANS:  # else it is gone
            driver.execute("CLOSE audit_walk")


def _sqlite_rows(span: Span) -> Iterator[Row]:
    """SQLite stores any bytes as text, so a tamperer may leave some that are not UTF-8."""
    statement, values = _query(_AT_SQLITE, span)
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
            for row in chunk:
                yield cast("Row", (*row[:_AT], _sqlite_time(row[_AT]), *row[_AT + 1 :]))


def _lenient_text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogateescape")  # `chain.message` turns it back


def _sqlite_time(text: str) -> str:
    """The time Django wrote into SQLite; no other spelling is one."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return ""
    return chain.moment(at.replace(tzinfo=UTC)) if str(at) == text else ""


@contextmanager
def one_snapshot(shared: str | None = None) -> Iterator[None]:
    """Let every read of the block see one moment, while writers carry on.

    PostgreSQL: a repeatable-read transaction, `shared` naming another process's snapshot.
    SQLite: a deferred transaction, which in WAL mode never blocks a writer (Django's own would
    take the write lock). Inside an open transaction the caller's snapshot is used as it is.
    """
    if connection.in_atomic_block:
        yield
    elif is_postgres():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            if shared is not None:
                # a SET takes no bound values
                said = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(shared))
                cursor.execute(said.as_string(None))
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
