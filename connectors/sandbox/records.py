"""The CRM and order database of the demo world, and what was really changed in it."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, delete, event, insert, select
from sqlalchemy.engine import make_url

from connectors.adapters.records.client import (
    ACCOUNTS,
    APPLIED_CHANGES,
    DEALS,
    METADATA,
    ORDERS,
    PURCHASE_ORDERS,
    TICKETS,
)
from connectors.sandbox import world
from connectors.sandbox.store import Json


def create_records_database(url: str) -> None:
    """Create the tables and the demo world's rows, unless they are there already."""
    engine = _engine(url)
    METADATA.create_all(engine)
    with engine.begin() as connection:
        for table, rows in ((PURCHASE_ORDERS, world.PURCHASE_ORDERS), (DEALS, world.DEALS)):
            if not connection.execute(select(table).limit(1)).first():
                connection.execute(insert(table), list(rows))
        if connection.execute(select(ACCOUNTS.c.id).limit(1)).first():
            return
        _furnish(connection)


def refurnish_records(url: str) -> None:
    """Put the demo world's rows back as they were at first."""
    with _engine(url).begin() as connection:
        for table in reversed(METADATA.sorted_tables):
            connection.execute(delete(table))
        connection.execute(insert(PURCHASE_ORDERS), list(world.PURCHASE_ORDERS))
        connection.execute(insert(DEALS), list(world.DEALS))
        _furnish(connection)


def _furnish(connection: Connection) -> None:
    connection.execute(insert(ACCOUNTS), list(world.ACCOUNTS))
    connection.execute(insert(ORDERS), list(world.ORDERS))
    connection.execute(insert(TICKETS), list(world.TICKETS))


def records_effects(url: str) -> list[Json]:
    """Every change applied to the records, oldest first, in the shape of `/_effects`."""
    with _engine(url).connect() as connection:
        rows = connection.execute(select(APPLIED_CHANGES).order_by(APPLIED_CHANGES.c.at))
        return [
            {
                "id": row.key,
                "kind": row.kind,
                "target": row.record,
                "amount": None,
                "currency": None,
                "idempotency_key": row.key,
                "detail": {"before": json.loads(row.before), "after": json.loads(row.after)},
                "at": row.at,
                "system": "records",
            }
            for row in rows
        ]


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed, poolclass=NullPool)
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _write_ahead)
    return engine


def _write_ahead(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL").close()
