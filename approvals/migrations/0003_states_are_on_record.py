"""No state without its event: the database refuses a request whose state is not on record.

`QuerySet.update()`, `bulk_update`, a constructor, `loaddata` and plain SQL pass around the state
machine. This trigger stands behind all of them: the event at the head of the request's chain
must carry exactly the state being written.
"""

from django.db import migrations

POSTGRES = """
CREATE FUNCTION countersign_state_is_on_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM audit_auditevent
        WHERE subject_type = 'approvals.actionrequest'
          AND subject_id = NEW.id::text
          AND seq = NEW.audit_seq
          AND mac = NEW.audit_head
          AND state = NEW.state
    ) THEN
        RAISE EXCEPTION 'request %: state % is not on record', NEW.id, NEW.state
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER approvals_actionrequest_state_recorded
    BEFORE INSERT OR UPDATE OF state ON approvals_actionrequest
    FOR EACH ROW EXECUTE FUNCTION countersign_state_is_on_record();
CREATE TRIGGER approvals_actionrequest_stays
    BEFORE DELETE ON approvals_actionrequest
    FOR EACH ROW EXECUTE FUNCTION countersign_append_only();
"""

POSTGRES_UNDO = """
DROP TRIGGER IF EXISTS approvals_actionrequest_stays ON approvals_actionrequest;
DROP TRIGGER IF EXISTS approvals_actionrequest_state_recorded ON approvals_actionrequest;
DROP FUNCTION countersign_state_is_on_record();
"""

# SQLite keeps UUIDs as 32 hex digits; events spell them with dashes.
SQLITE_CHECK = """
CREATE TRIGGER approvals_actionrequest_state_recorded_{name}
BEFORE {event} ON approvals_actionrequest
WHEN NOT EXISTS (
    SELECT 1 FROM audit_auditevent
    WHERE subject_type = 'approvals.actionrequest'
      AND subject_id = substr(NEW.id, 1, 8) || '-' || substr(NEW.id, 9, 4) || '-'
          || substr(NEW.id, 13, 4) || '-' || substr(NEW.id, 17, 4) || '-' || substr(NEW.id, 21)
      AND seq = NEW.audit_seq
      AND mac = NEW.audit_head
      AND state = NEW.state
)
BEGIN
    SELECT RAISE(ABORT, 'request state is not on record');
END
"""

SQLITE_STAYS = """
CREATE TRIGGER approvals_actionrequest_stays BEFORE DELETE ON approvals_actionrequest
BEGIN
    SELECT RAISE(ABORT, 'approvals_actionrequest is append-only: DELETE refused');
END
"""

EVENTS = {"insert": "INSERT", "update": "UPDATE OF state"}


def add(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES, params=None)
        return
    for name, event in EVENTS.items():
        schema_editor.execute(SQLITE_CHECK.format(name=name, event=event), params=None)
    schema_editor.execute(SQLITE_STAYS, params=None)


def remove(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_UNDO, params=None)
        return
    for name in EVENTS:
        schema_editor.execute(
            f"DROP TRIGGER IF EXISTS approvals_actionrequest_state_recorded_{name}", params=None
        )
    schema_editor.execute("DROP TRIGGER IF EXISTS approvals_actionrequest_stays", params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0002_rows_that_never_change"),
        ("audit", "0002_events_are_append_only"),
    ]

    operations = [migrations.RunPython(add, remove)]
