"""Rows of a company's own tables: the change, its key and its guard in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, Connection, Integer, String, TableClause, column, select, table
from sqlalchemy.sql.expression import update

from audit.lib.canonical import JsonObject, JsonValue, digest_of
from connectors.adapters.records.actions import changed_fields
from connectors.adapters.records.client import Change, RecordsClient
from connectors.adapters.records.tables import RECORD, OpenTable, TableFile
from connectors.base import (
    Action,
    ConnectorError,
    DispatchingConnector,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    cannot_undo,
    compare,
)
from connectors.catalogue import text

_TYPES = {"string": String, "integer": Integer, "boolean": Boolean}


class TablesConnector(DispatchingConnector):
    """One database; a key stays known as long as its row in `applied_changes` does."""

    def __init__(self, file: TableFile, url: str) -> None:
        self.system = file.card.system
        client = RecordsClient(url)
        super().__init__({one.type.key: _Row(client, one) for one in file.tables})


class _Row:
    """Sets columns of one row, if it is still the row that was approved."""

    def __init__(self, client: RecordsClient, opened: OpenTable) -> None:
        self._client = client
        self._opened = opened
        self._table = _table(opened)

    def preview(self, action: Action) -> Preview:
        record, wanted = text(action.params, RECORD), changed_fields(action.params)
        with self._client.reading() as connection:
            row = self._find(connection, record)
        before = {name: row[name] for name in wanted}
        shown = {name: row[name] for name in (self._opened.key, *self._opened.shows)}
        return Preview(
            before=before,
            after=dict(wanted),
            target_version=digest_of(before),
            guard=self._guard(row, wanted),
            evidence=(SystemEvidence("source_record", f"{self._opened.name} {record}", shown),),
        )

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        if not guard:
            raise ConnectorError(
                "The row's version is not known, and the change is held to it; nothing was sent.",
                permanent=True,
                code="no_guard",
            )
        made = self._client.apply_once(
            key, action.type, lambda connection: self._change(connection, action, guard)
        )
        return self._receipt(made, key)

    def look_up(self, action: Action, key: str) -> Receipt | None:
        made = self._client.applied(key)
        return self._receipt(made, key) if made else None

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        wanted = changed_fields(action.params)
        with self._client.reading() as connection:
            row = self._find(connection, text(action.params, RECORD))
        observed = {name: row[name] for name in wanted}
        return ReadBack(observed, compare(wanted, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        earlier = receipt.pre_image
        if not earlier or None in earlier.values():
            raise cannot_undo("The row had no value there before, and none cannot be set here.")
        return Action(action.type, {RECORD: action.params[RECORD], "fields": dict(earlier)})

    def _change(self, connection: Connection, action: Action, guard: str) -> Change:
        record, wanted = text(action.params, RECORD), changed_fields(action.params)
        row = self._find(connection, record, lock=True)
        if self._guard(row, wanted) != guard:
            raise ConnectorError(
                f"{self._opened.name} {record} was changed meanwhile; what was approved is not "
                "what is there. Nothing was changed.",
                permanent=True,
                code="conflict",
            )
        changed = connection.execute(
            update(self._table)
            .where(self._table.c[self._opened.key] == record)
            .values(dict(wanted))
        )
        if changed.rowcount > 1:
            raise ConnectorError(
                f"Several rows of {self._opened.name} are {record} to the database; nothing was "
                "changed.",
                permanent=True,
                code="ambiguous",
            )
        return Change(record, {name: row[name] for name in wanted}, dict(wanted))

    def _find(
        self, connection: Connection, record: str, *, lock: bool = False
    ) -> dict[str, JsonValue]:
        """The row whose key is exactly that, whatever the database's collation thinks is equal.

        MariaDB's usual ones find "ab-1" and "AB-1 " under one key.
        """
        query = select(self._table).where(self._table.c[self._opened.key] == record).limit(2)
        found = connection.execute(query.with_for_update() if lock else query).mappings().all()
        exact = [row for row in found if row[self._opened.key] == record]
        if len(found) != 1 or len(exact) != 1:
            several = len(found) > 1
            raise ConnectorError(
                f"{'Several rows' if several else 'No row'} of {self._opened.name} "
                f"{'are' if several else 'is'} {record}.",
                permanent=True,
                code="ambiguous" if several else "not_found",
            )
        return {str(name): _plain(value) for name, value in exact[0].items()}

    def _guard(self, row: Mapping[str, JsonValue], wanted: JsonObject) -> str:
        """What must be as it was: the row's own version, or the columns that are changed."""
        if self._opened.version:
            return f"version {row[self._opened.version]}"[:300]
        return f"columns {digest_of({name: row[name] for name in wanted})}"

    def _receipt(self, made: Change, key: str) -> Receipt:
        detail: JsonObject = {"record": made.record, "after": made.after, "key": key}
        return Receipt(
            made.record, f"Changed {self._opened.name} {made.record}.", detail, made.before
        )


def _table(opened: OpenTable) -> TableClause:
    """The table as far as it is listed: nothing else can stand in a statement."""
    schema, _, name = opened.name.rpartition(".")
    others = {opened.key, opened.version, *opened.shows} - {"", *opened.columns}
    return table(
        name,
        *(column(one, _TYPES[kind]()) for one, kind in opened.columns.items()),
        *(column(one) for one in sorted(others)),
        schema=schema or None,
    )


def _plain(value: Any) -> JsonValue:
    """The value as JSON has it; what has no place there as the database would print it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, float)):
        return str(value)
    raise ConnectorError(
        f"A column holds {type(value).__name__}, which cannot be shown.",
        permanent=True,
        code="unreadable",
    )
