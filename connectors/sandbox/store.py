"""One SQLite file behind every sandbox system: state, effects and remembered answers.

An effect is written in the transaction that applies it, so what `/_effects` lists is exactly what
happened, also after a crash or restart.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    system TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (system, kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS effects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, system TEXT NOT NULL, id TEXT NOT NULL,
    kind TEXT NOT NULL, target TEXT NOT NULL, amount INTEGER, currency TEXT,
    idempotency_key TEXT NOT NULL, detail TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS effects_by_key ON effects (system, idempotency_key);
CREATE TABLE IF NOT EXISTS answers (
    system TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (system, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A remembered answer to an idempotency key: what was asked, and what was said."""

    request: str
    status: int
    body: str


class Transaction:
    """Reads and writes of one system, inside one SQLite transaction."""

    def __init__(self, connection: sqlite3.Connection, system: str) -> None:
        self._connection = connection
        self._system = system

    def get(self, kind: str, object_id: str) -> Json | None:
        row = self._connection.execute(
            "SELECT body FROM objects WHERE system = ? AND kind = ? AND id = ?",
            (self._system, kind, object_id),
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def all(self, kind: str) -> list[Json]:
        """Every object of that kind, newest first."""
        rows = self._connection.execute(
            "SELECT body FROM objects WHERE system = ? AND kind = ? ORDER BY seq DESC",
            (self._system, kind),
        )
        return [json.loads(body) for (body,) in rows]

    def put(self, kind: str, object_id: str, body: Json) -> None:
        self._connection.execute(
            "INSERT INTO objects VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (system, kind, id) DO UPDATE SET body = excluded.body",
            (self._system, kind, object_id, self.next_number("objects"), json.dumps(body)),
        )

    def next_number(self, name: str) -> int:
        row = self._connection.execute(
            "INSERT INTO counters VALUES (?, 1) "
            "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (name,),
        ).fetchone()
        return int(row[0])

    def applied(
        self,
        effect_id: str,
        kind: str,
        target: str,
        *,
        key: str,
        amount: int | None = None,
        currency: str | None = None,
        detail: Json | None = None,
    ) -> None:
        """Count one effect; the caller's change commits with it or not at all."""
        self._connection.execute(
            "INSERT INTO effects (system, id, kind, target, amount, currency, idempotency_key, "
            "detail, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._system,
                effect_id,
                kind,
                target,
                amount,
                currency,
                key,
                json.dumps(detail or {}),
                datetime.now(UTC).isoformat(),
            ),
        )

    def effect_of(self, key: str) -> Json | None:
        """The effect applied under that idempotency key."""
        found = effects(self._connection, self._system, key)
        return found[0] if found else None

    def answer(self, key: str) -> Answer | None:
        row = self._connection.execute(
            "SELECT request, status, body FROM answers WHERE system = ? AND key = ?",
            (self._system, key),
        ).fetchone()
        return None if row is None else Answer(*row)

    def remember(self, key: str, answer: Answer) -> None:
        self._connection.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?)",
            (self._system, key, answer.request, answer.status, answer.body),
        )


class Store:
    """The sandbox's file; safe to use from any thread and to open again after a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)

    @contextmanager
    def transaction(self, system: str) -> Iterator[Transaction]:
        """Everything inside commits together; an exception undoes all of it."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(connection, system)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def empty(self) -> None:
        """Forget everything: objects, effects, remembered answers, and how far was counted."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in ("objects", "effects", "answers", "counters", "sqlite_sequence"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608
            connection.execute("COMMIT")

    def effects(self, system: str) -> list[Json]:
        """Every effect the system really applied, oldest first."""
        with self._connection() as connection:
            return effects(connection, system)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=20, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection
        finally:
            connection.close()


def effects(connection: sqlite3.Connection, system: str, key: str | None = None) -> list[Json]:
    rows = connection.execute(
        "SELECT id, kind, target, amount, currency, idempotency_key, detail, at FROM effects "
        "WHERE system = ? AND (? IS NULL OR idempotency_key = ?) ORDER BY seq",
        (system, key, key),
    )
    names = ("id", "kind", "target", "amount", "currency", "idempotency_key", "detail", "at")
    return [
        {**dict(zip(names, row, strict=True)), "system": system, "detail": json.loads(row[6])}
        for row in rows
    ]
