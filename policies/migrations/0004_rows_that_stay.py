"""Edits, rates, shadow verdicts and proofs of identity stay; a version's life has two more stops.

A draft whose publication was requested keeps its words, and may be sent back to be edited.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from audit.protection import forbid_changes

TABLES = (
    "policies_policyedit",
    "policies_exchangerate",
    "policies_reauthentication",
    "policies_shadowverdict",
)
TABLE = "policies_policyversion"
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
    OR (OLD.status = 'published' AND NEW.status NOT IN ('published', 'retired'))
    OR (OLD.status IN ('retired', 'discarded') AND NEW.status <> OLD.status)
"""
_POSTGRES = (
    f"CREATE TRIGGER {TABLE}_words_stay BEFORE UPDATE ON {TABLE} FOR EACH ROW"
    f" WHEN ({_FORBIDDEN.format(changed=_CHANGED_POSTGRES)})"
    f" EXECUTE FUNCTION {TABLE}_stays()",
)
_SQLITE = (
    f"CREATE TRIGGER {TABLE}_words_stay BEFORE UPDATE ON {TABLE}"
    f" WHEN {_FORBIDDEN.format(changed=_CHANGED_SQLITE)}"
    " BEGIN SELECT RAISE(ABORT, 'policy versions stay as published: UPDATE refused'); END",
    # SQLite forgot it when the migration before this one rebuilt the table
    f"CREATE TRIGGER {TABLE}_rows_stay BEFORE DELETE ON {TABLE}"
    " BEGIN SELECT RAISE(ABORT, 'policy versions stay as published: DELETE refused'); END",
)


def add(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_words_stay ON {TABLE}", params=None)
        statements = _POSTGRES
    else:
        for name in ("words_stay", "rows_stay"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_{name}", params=None)
        statements = _SQLITE
    for statement in statements:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("policies", "0003_authority_replays_rates"),
        ("audit", "0002_events_are_append_only"),
    ]

    operations = [
        *(forbid_changes(table) for table in TABLES),
        # Backwards leaves the looser rule: the one before it would refuse rows this one allowed.
        migrations.RunPython(add, migrations.RunPython.noop),
    ]
