"""One change per key in somebody else's database: the key and the change commit together.

Its tables are declared first, as far as they are read or changed.
"""

from __future__ import annotations

import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    Text,
    create_engine,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects.mysql import VARCHAR
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from audit.lib.canonical import JsonObject, canonical
from connectors import http
from connectors.base import ConnectorError, OutcomeUnknown

METADATA = MetaData()
_EXACT = String(200).with_variant(VARCHAR(200, collation="utf8mb4_bin"), "mysql", "mariadb")
"""Text that is compared letter by letter; MariaDB would not tell "k" from "K"."""

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("email", String(254), nullable=False, index=True),
    Column("segment", String(40), nullable=False),
    Column("stage", String(40), nullable=False),
    Column("owner", String(80), nullable=False),
    Column("phone", String(40), nullable=False),
    Column("notes", Text, nullable=False),
    Column("refunds_90d", Integer, nullable=False),
    Column("complaints_90d", Integer, nullable=False),
)

ACCOUNT_TAGS = Table(
    "account_tags",
    METADATA,
    Column("account", ForeignKey(ACCOUNTS.c.id), primary_key=True),
    Column("tag", String(40), primary_key=True),
)

ORDERS = Table(
    "orders",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("account", ForeignKey(ACCOUNTS.c.id), nullable=False),
    Column("item", String(200), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("status", String(40), nullable=False),
    Column("address", String(300), nullable=False),
)

TICKETS = Table(
    "tickets",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("account", ForeignKey(ACCOUNTS.c.id), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("status", String(40), nullable=False),
)

PURCHASE_ORDERS = Table(
    "purchase_orders",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("vendor", String(80), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total_minor", Integer, nullable=False),
    Column("ordered", Integer, nullable=False),
    Column("received", Integer, nullable=False),
    Column("invoiced", Integer, nullable=False),
)
"""What was ordered from vendors; a database without this table knows of no orders."""

DEALS = Table(
    "deals",
    METADATA,
    Column("account", String(80), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("value_minor", Integer, nullable=False),
)
"""What an account's open deal is worth; a database without this table knows of none."""

DRAFTS = Table(
    "drafts",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("ticket", ForeignKey(TICKETS.c.id), nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String(40), nullable=False),
)

APPLIED_CHANGES = Table(
    "applied_changes",
    METADATA,
    Column("key", _EXACT, primary_key=True),
    Column("kind", String(80), nullable=False),
    Column("record", String(80), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("at", String(40), nullable=False),
)
"""One row per idempotency key, written in the transaction of the change it stands for."""


Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What one write replaced and what it left, as read inside its own transaction."""

    record: str
    before: JsonObject
    after: JsonObject


class RecordsClient:
    """The records database. Reads raise ConnectorError; `apply_once` also OutcomeUnknown."""

    def __init__(self, url: str) -> None:
        self._url = with_driver(make_url(url))

    def ping(self) -> None:
        """Ask the database anything; raises ConnectorError when it does not answer."""
        with self.reading() as connection:
            connection.execute(select(1))

    def row(self, table: Table, record: str) -> Row:
        """The record as it is now; raises ConnectorError(permanent=True) when there is none."""
        with self.reading() as connection:
            return find(connection, table, record)

    def account_by_email(self, address: str) -> Row | None:
        with self.reading() as connection:
            query = select(ACCOUNTS).where(ACCOUNTS.c.email == address.lower())
            found = connection.execute(query).mappings().first()
        return dict(found) if found else None

    def purchase_order(self, order: str) -> Row | None:
        """The purchase order as it is now; None when there is none of that number."""
        return self._if_there(PURCHASE_ORDERS, id=order)

    def deal(self, account: str) -> Row | None:
        """The account's deal as it is now; None when there is none."""
        return self._if_there(DEALS, account=account)

    def _if_there(self, table: Table, **key: str) -> Row | None:
        with self.reading() as connection:
            if not inspect(connection).has_table(table.name):
                return None
            found = connection.execute(select(table).filter_by(**key)).mappings().first()
        return dict(found) if found else None

    def exists(self, table: Table, **values: str) -> bool:
        with self.reading() as connection:
            query = select(table).filter_by(**values)
            return connection.execute(query).first() is not None

    def applied(self, key: str) -> Change | None:
        """The change made under that key, or None when none was."""
        with self.reading() as connection:
            query = select(APPLIED_CHANGES).where(APPLIED_CHANGES.c.key == key)
            found = connection.execute(query).mappings().first()
        if found is None or found["key"] != key:  # a table made by hand may have another collation
            return None
        return Change(found["record"], json.loads(found["before"]), json.loads(found["after"]))

    def apply_once(self, key: str, kind: str, change: Callable[[Connection], Change]) -> Change:
        """Run the change in one transaction with its key; a key seen before changes nothing.

        The key is inserted first: its primary key makes a second writer wait for the first and
        then fail, and on SQLite it takes the write lock before anything is read.
        """
        try:
            return self._apply(key, kind, change)
        except IntegrityError as error:
            if earlier := self.applied(key):
                return earlier
            raise ConnectorError(
                "The records database refused the change; nothing was changed.",
                permanent=True,
                code="constraint",
            ) from error

    def _apply(self, key: str, kind: str, change: Callable[[Connection], Change]) -> Change:
        with self._connected() as connection:
            transaction = connection.begin()
            try:
                now = datetime.now(UTC).isoformat()
                place = {"kind": kind, "record": "", "before": "{}", "after": "{}", "at": now}
                connection.execute(insert(APPLIED_CHANGES).values(key=key, **place))
                made = change(connection)
                connection.execute(
                    update(APPLIED_CHANGES)
                    .where(APPLIED_CHANGES.c.key == key)
                    .values(
                        record=made.record,
                        before=canonical(made.before),
                        after=canonical(made.after),
                    )
                )
            except IntegrityError:
                transaction.rollback()
                raise
            except SQLAlchemyError as error:
                # Not committed, so not done: whatever the connection's fate, it is rolled back.
                _unavailable(error)
            try:
                transaction.commit()
            except SQLAlchemyError as error:
                raise OutcomeUnknown(
                    f"The records database did not confirm the commit ({type(error).__name__})."
                ) from error
            return made

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read by; raises ConnectorError when the database cannot be used."""
        with self._connected() as connection:
            try:
                yield connection
            except SQLAlchemyError as error:
                _unavailable(error)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        # A connection per call: none goes stale, none crosses a fork, and the timeout is today's.
        seconds = http.timeout_seconds()
        ends_at = time.monotonic() + seconds
        engine = create_engine(
            self._url, poolclass=NullPool, connect_args=_timeouts(self._url, seconds)
        )
        try:
            connection = engine.connect()
        except DBAPIError as error:
            _unavailable(error)
        try:
            with _cut_off(connection, ends_at - time.monotonic()):
                yield connection
        finally:
            connection.close()


@contextmanager
def _cut_off(connection: Connection, seconds: float) -> Iterator[None]:
    """End the connection's socket when the time is over: whoever waits for an answer sees it end.

    The server's own timeouts end statements, and not the waiting for an answer that never comes.
    """
    driver: Any = connection.connection.driver_connection
    stream = getattr(driver, "_sock", driver)  # PyMySQL keeps a socket, psycopg is one
    if not hasattr(stream, "fileno"):  # SQLite: there is no wire
        yield
        return
    line = socket.socket(fileno=os.dup(stream.fileno()))
    cut = threading.Timer(max(0.0, seconds), _end, [line])
    cut.daemon = True
    cut.start()
    try:
        yield
    finally:
        cut.cancel()
        cut.join()
        line.close()


def _end(line: socket.socket) -> None:
    with suppress(OSError):  # it ended by itself meanwhile
        line.shutdown(socket.SHUT_RDWR)


def find(connection: Connection, table: Table, record: str, *, lock: bool = False) -> Row:
    """The row of that id; with `lock`, nobody else changes it until the transaction ends."""
    query = select(table).where(table.c.id == record)
    found = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if found is None:
        raise ConnectorError(
            f"There is no record {record} in {table.name}.", permanent=True, code="not_found"
        )
    return dict(found)


def only(row: Mapping[str, Any], names: Mapping[str, object]) -> Row:
    """Those columns of the row."""
    return {name: row[name] for name in names}


def with_driver(url: URL) -> URL:
    """Plain addresses mean the drivers this project installs: psycopg 3 and PyMySQL."""
    driver = _DRIVERS.get(url.drivername)
    return url.set(drivername=f"{url.drivername}+{driver}") if driver else url


_DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}


def _timeouts(url: URL, seconds: float) -> dict[str, Any]:
    """Each engine's own way to bound a call; for others, state one in the URL's query."""
    match url.get_backend_name():
        case "sqlite":
            return {"timeout": seconds}
        case "postgresql":
            # Half for connecting and half for the statements, of which there are at most four.
            milliseconds = max(1, int(seconds * 1000 / 8))
            return {
                "connect_timeout": max(2, math.ceil(seconds / 2)),
                "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
            }
        case "mysql" | "mariadb":
            whole = max(1, int(seconds / 4))
            return {"connect_timeout": whole, "read_timeout": whole, "write_timeout": whole}
    return {}


def _unavailable(error: SQLAlchemyError) -> NoReturn:
    raise ConnectorError(
        f"The records database could not be used ({type(error).__name__}); nothing was changed.",
        permanent=False,
        code="unavailable",
    ) from error
