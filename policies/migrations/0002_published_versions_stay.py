"""A policy version that has left draft keeps its words, and every version keeps its row."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLE = "policies_policyversion"

# Content may change only while the row is a draft and stays one; the life of a version is one-way.
_CHANGED_POSTGRES = (
    "(NEW.document, NEW.digest, NEW.label, NEW.author_id)"
    " IS DISTINCT FROM (OLD.document, OLD.digest, OLD.label, OLD.author_id)"
)
_CHANGED_SQLITE = (
    "(NEW.document IS NOT OLD.document OR NEW.digest IS NOT OLD.digest"
    " OR NEW.label IS NOT OLD.label OR NEW.author_id IS NOT OLD.author_id)"
)
_FORBIDDEN = """
    ((OLD.status <> 'draft' OR NEW.status <> 'draft') AND {changed})
    OR (OLD.status <> 'draft' AND NEW.status = 'draft')
    OR (OLD.status = 'retired' AND NEW.status <> 'retired')
"""

_POSTGRES = (
    f"""
    CREATE FUNCTION {TABLE}_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'policy versions stay as published: % refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END $$
    """,
    f"CREATE TRIGGER {TABLE}_words_stay BEFORE UPDATE ON {TABLE} FOR EACH ROW"
    f" WHEN ({_FORBIDDEN.format(changed=_CHANGED_POSTGRES)})"
    f" EXECUTE FUNCTION {TABLE}_stays()",
    f"CREATE TRIGGER {TABLE}_rows_stay BEFORE DELETE ON {TABLE} FOR EACH ROW"
    f" EXECUTE FUNCTION {TABLE}_stays()",
    f"CREATE TRIGGER {TABLE}_table_stays BEFORE TRUNCATE ON {TABLE} FOR EACH STATEMENT"
    f" EXECUTE FUNCTION {TABLE}_stays()",
)
_SQLITE = (
    f"CREATE TRIGGER {TABLE}_words_stay BEFORE UPDATE ON {TABLE}"
    f" WHEN {_FORBIDDEN.format(changed=_CHANGED_SQLITE)}"
    " BEGIN SELECT RAISE(ABORT, 'policy versions stay as published: UPDATE refused'); END",
    f"CREATE TRIGGER {TABLE}_rows_stay BEFORE DELETE ON {TABLE}"
    " BEGIN SELECT RAISE(ABORT, 'policy versions stay as published: DELETE refused'); END",
)


def add(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    statements = _POSTGRES if schema_editor.connection.vendor == "postgresql" else _SQLITE
    for statement in statements:
        schema_editor.execute(statement, params=None)


def remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for name in ("words_stay", "rows_stay", "table_stays"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_{name} ON {TABLE}", params=None)
        schema_editor.execute(f"DROP FUNCTION {TABLE}_stays()", params=None)
        return
    for name in ("words_stay", "rows_stay"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_{name}", params=None)


class Migration(migrations.Migration):
    dependencies = [("policies", "0001_people_limits_versions")]

    operations = [migrations.RunPython(add, remove)]
