"""What the database itself refuses, on both databases: rows that stay, columns that move by rule.

Apps declare one `Protected` per table and say beside it why the others are free
(`<app>/protection.py`); `config.protection` puts the triggers in place after every `migrate`.
A column nobody declared never changes, so a new one is protected until somebody says otherwise.

Where a change has an event, the database demands it: the trigger notes that the subject's next
event is required (`RequiredEvent`), and the deferred foreign key of that note refuses the commit
without it. Services save first and record then, in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import migrations, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from audit.lib.db import is_postgres

_NOTE = """
    INSERT INTO audit_requiredevent (subject_type, subject_id, seq)
    VALUES ('{label}', {key}, {seq} + 1)
    ON CONFLICT (subject_type, subject_id) DO UPDATE SET seq = excluded.seq;
"""
_SEQ_OF = "(SELECT audit_seq FROM {table} WHERE {pk} = NEW.{key})"


@dataclass(frozen=True, slots=True)
class Moves:
    """Columns (names of fields) that may change while `when` holds.

    `when` is SQL over OLD and NEW with fields in braces, the same on both databases; empty: at any
    time. `unless` must not hold; it may look into other tables, and knows the row's key as events
    spell it as `{id_text}`. `needs_event`: the subject's next event has to follow in the same
    transaction.
    """

    fields: tuple[str, ...]
    when: str = ""
    unless: str = ""
    needs_event: bool = False


@dataclass(frozen=True, slots=True)
class Then:
    """What the database writes elsewhere, in the same transaction, when these fields change.

    `when` as in `Moves`; `write` is one statement over NEW with fields in braces, the same on both
    databases. For outboxes: whoever changes rows, and however many, nothing is forgotten.
    """

    fields: tuple[str, ...]
    when: str
    write: str


@dataclass(frozen=True, slots=True)
class Protected:
    """One table: no row is ever deleted, and no column changes but as `moves` says.

    `event_of` is the foreign key to the record in whose chain the events of this table are; empty:
    the row has a chain of its own. `insert_unless` refuses new rows as `Moves.unless` does changes.
    """

    model: str
    moves: tuple[Moves, ...] = ()
    event_of: str = ""
    insert_unless: str = ""
    then: tuple[Then, ...] = ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger by name; the name carries a digest of what it does, so names tell it all."""

    name: str
    table: str
    statements: tuple[str, ...]


def moves(*fields: str, when: str = "", unless: str = "", needs_event: bool = False) -> Moves:
    """Fields that may change while the condition holds."""
    return Moves(fields, when, unless, needs_event)


def once(field: str, *others: str, needs_event: bool = False) -> Moves:
    """A field that is empty until it is set for good, and others that are set with it."""
    return Moves((field, *others), f"OLD.{{{field}}} IS NULL", "", needs_event)


CHAIN = moves("audit_seq", "audit_head", when="NEW.{audit_seq} > OLD.{audit_seq}")
"""The head of a record's own chain: it only grows."""


def triggers_of(
    rule: Protected, model: type[models.Model], connection: BaseDatabaseWrapper
) -> list[Trigger]:
    """The triggers that hold the rule. `model` may be a migration's state of it."""
    return list(_Table(rule, model, is_postgres(connection)).triggers())


def is_history(model: type[models.Model]) -> bool:
    """Whether it is a table of django-simple-history: rows are added and never change."""
    names = {field.name for field in model._meta.concrete_fields}
    return {"history_id", "history_type", "history_date"} <= names


class _Table:
    """Writes the triggers of one table."""

    def __init__(self, rule: Protected, model: type[models.Model], on_postgres: bool) -> None:
        self._rule, self._model, self._on_postgres = rule, model, on_postgres
        self._table = model._meta.db_table
        columns = {f.name: f'"{f.column}"' for f in model._meta.concrete_fields}
        self._columns = dict(sorted(columns.items()))  # a migration's state has its own order

    def triggers(self) -> Iterator[Trigger]:
        yield self._refuse("rows_stay", "BEFORE DELETE")
        if self._on_postgres:
            yield self._refuse("table_stays", "BEFORE TRUNCATE")
        yield self._refuse("columns_stay", "BEFORE UPDATE", when=self._forbidden())
        if self._rule.insert_unless:
            yield self._refuse("new_rows", "BEFORE INSERT", unless=self._rule.insert_unless)
        for number, move in enumerate(self._rule.moves):
            if move.unless:
                yield self._refuse(
                    f"rule_{number}",
                    "BEFORE UPDATE",
                    when=self._changed(move.fields),
                    unless=move.unless,
                )

        on_record = [name for m in self._rule.moves if m.needs_event for name in m.fields]
        if on_record:
            yield self._require_event("event", self._changed(on_record))
        for number, then in enumerate(self._rule.then):
            when = f"{self._changed(then.fields)} AND ({self._named(then.when)})"
            written = f"{self._named(then.write)};"
            yield self._trigger(f"then_{number}", "AFTER UPDATE", when, written)

    def _forbidden(self) -> str:
        """When an UPDATE changes what must not change; empty: it always does."""
        free = {name for move in self._rule.moves for name in move.fields}
        if not free:
            return ""
        parts = [self._changed([name for name in self._columns if name not in free])]
        parts += [
            f"({self._changed(move.fields)} AND ({self._named(move.when)}) IS NOT TRUE)"
            for move in self._rule.moves
            if move.when
        ]
        return " OR ".join(parts)

    def _changed(self, fields: Sequence[str]) -> str:
        differs = "IS DISTINCT FROM" if self._on_postgres else "IS NOT"  # older SQLite has no other
        pairs = (f"OLD.{c} {differs} NEW.{c}" for c in (self._columns[name] for name in fields))
        return f"({' OR '.join(pairs)})"

    def _named(self, condition: str) -> str:
        """The condition with the columns of the fields it names in braces."""
        return condition.format(**self._columns)

    def _refuse(self, kind: str, event: str, *, when: str = "", unless: str = "") -> Trigger:
        verb = event.split()[1]
        message = f"{self._table} is append-only: {verb} refused"
        if not self._on_postgres:
            both = " AND ".join(f"({part})" for part in (when, self._inside(unless)) if part)
            return self._trigger(kind, event, both, f"SELECT RAISE(ABORT, '{message}');")
        refusal = f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';"
        if unless:
            refusal = f"IF {self._inside(unless)} THEN {refusal} END IF;"
        return self._trigger(kind, event, when, refusal)

    def _require_event(self, kind: str, when: str) -> Trigger:
        subject: Any = self._model
        key, seq = str(subject._meta.pk.column), "NEW.audit_seq"
        if self._rule.event_of:
            field: Any = self._model._meta.get_field(self._rule.event_of)
            subject, key = field.related_model, str(field.column)
            seq = _SEQ_OF.format(table=subject._meta.db_table, pk=subject._meta.pk.column, key=key)
        as_text = self._as_text(f"NEW.{key}", subject._meta.pk)
        note = _NOTE.format(label=subject._meta.label_lower, key=as_text, seq=seq)
        return self._trigger(kind, "AFTER UPDATE", when, note)

    def _as_text(self, column: str, key: models.Field[Any, Any]) -> str:
        """The primary key as events spell it; SQLite keeps a UUID as 32 hex digits."""
        if self._on_postgres:
            return f"{column}::text"
        if not isinstance(key, models.UUIDField):
            return f"CAST({column} AS TEXT)"
        parts = ("1, 8", "9, 4", "13, 4", "17, 4", "21")
        return " || '-' || ".join(f"substr({column}, {part})" for part in parts)

    def _inside(self, unless: str) -> str:
        """SQL that may name `{id_text}`, this row's key as events spell it, beside its fields."""
        if not unless:
            return ""
        key: Any = self._model._meta.pk
        return unless.format(**self._columns, id_text=self._as_text(f"NEW.{key.column}", key))

    def _trigger(self, kind: str, event: str, when: str, body: str) -> Trigger:
        digest = hashlib.sha256(f"{event} {when} {body}".encode()).hexdigest()[:8]
        name = f"{self._table}_{kind}_{digest}"
        condition = f" WHEN ({when})" if when else ""
        if not self._on_postgres:
            return Trigger(
                name,
                self._table,
                (f"CREATE TRIGGER {name} {event} ON {self._table}{condition} BEGIN {body} END",),
            )
        each = "STATEMENT" if "TRUNCATE" in event else "ROW"
        row = "OLD" if "DELETE" in event else "NEW"
        return Trigger(
            name,
            self._table,
            (
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {body} RETURN {row}; END $$",
                f"CREATE TRIGGER {name} {event} ON {self._table} FOR EACH {each}{condition} "
                f"EXECUTE FUNCTION {name}()",
            ),
        )


_APPEND_ONLY_FUNCTION = """
CREATE OR REPLACE FUNCTION countersign_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""


def forbid_changes(table: str) -> migrations.RunPython:
    """Refuse UPDATE, DELETE (and on PostgreSQL TRUNCATE) on `table`, whoever asks.

    SQLite's INSERT OR REPLACE would pass a no-delete trigger unless `recursive_triggers` is on;
    settings turn it on for every connection.

    SQLite also forgets triggers when Django rebuilds a table, which any later migration that
    alters a column or constraint of it does: such a migration ends with this operation again,
    and a test that tries to change a row of the table (tests run all migrations) notices when it
    was forgotten.
    """

    def add(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        remove(apps, schema_editor)
        if is_postgres(schema_editor.connection):
            schema_editor.execute(_APPEND_ONLY_FUNCTION, params=None)
            schema_editor.execute(
                f"CREATE TRIGGER {table}_rows_stay BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION countersign_append_only()",
                params=None,
            )
            schema_editor.execute(
                f"CREATE TRIGGER {table}_table_stays BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION countersign_append_only()",
                params=None,
            )
            return
        for verb in ("UPDATE", "DELETE"):
            schema_editor.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {verb} refused'); END",
                params=None,
            )

    def remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if is_postgres(schema_editor.connection):
            for name in ("rows_stay", "table_stays"):
                schema_editor.execute(
                    f"DROP TRIGGER IF EXISTS {table}_{name} ON {table}", params=None
                )
            return
        for verb in ("update", "delete"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{verb}", params=None)

    return migrations.RunPython(add, remove)


PROTECTED = (
    Protected("audit.auditevent"),
    Protected("audit.auditstream", (CHAIN,)),
    Protected("audit.requiredevent", (moves("seq", when="NEW.{seq} > OLD.{seq}"),)),
)
