"""Database triggers that make a table append-only, on both databases, as a migration operation."""

from __future__ import annotations

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

_POSTGRES_FUNCTION = """
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
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(_POSTGRES_FUNCTION, params=None)
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
        if schema_editor.connection.vendor == "postgresql":
            for name in ("rows_stay", "table_stays"):
                schema_editor.execute(
                    f"DROP TRIGGER IF EXISTS {table}_{name} ON {table}", params=None
                )
            return
        for verb in ("update", "delete"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{verb}", params=None)

    return migrations.RunPython(add, remove)
