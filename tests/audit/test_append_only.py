"""No SQL statement changes or removes an event."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from audit.models import AuditEvent
from tests.audit.make import make_chain
from tests.database import as_superuser, triggers_off

pytestmark = pytest.mark.django_db

_COLUMNS = (
    "id, subject_type, subject_id, seq, code, actor_kind, actor_id, actor_name, at, state, data, "
    "key_id, mac"
)
_FORGED = _COLUMNS.replace("actor_name", "'villain'")
_COPY = f"SELECT {_FORGED} FROM audit_auditevent"
STATEMENTS = {
    "update": "UPDATE audit_auditevent SET actor_name = 'villain'",
    "update one": "UPDATE audit_auditevent SET state = 'approved' WHERE seq = 1",
    "delete": "DELETE FROM audit_auditevent",
    "delete one": "DELETE FROM audit_auditevent WHERE seq = 4",
}
if connection.vendor == "postgresql":
    STATEMENTS |= {
        "truncate": "TRUNCATE audit_requiredevent, audit_auditevent",
        "truncate cascade": "TRUNCATE audit_auditstream, audit_auditevent CASCADE",
        "upsert": f"INSERT INTO audit_auditevent ({_COLUMNS}) {_COPY} "
        "ON CONFLICT (id) DO UPDATE SET actor_name = 'villain'",
    }
else:
    STATEMENTS |= {
        "insert or replace": f"INSERT OR REPLACE INTO audit_auditevent ({_COLUMNS}) {_COPY}",
        "replace": f"REPLACE INTO audit_auditevent ({_COLUMNS}) {_COPY}",
        "update or replace": "UPDATE OR REPLACE audit_auditevent SET id = id + 1",
        "upsert": f"INSERT INTO audit_auditevent ({_COLUMNS}) {_COPY} WHERE true "
        "ON CONFLICT (id) DO UPDATE SET actor_name = 'villain'",
    }


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_the_database_refuses_to_change_an_event(statement: str) -> None:
    make_chain("roles")
    before = list(AuditEvent.objects.values())

    with (
        as_superuser(),
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert list(AuditEvent.objects.values()) == before


def test_the_tamperer_of_these_tests_gets_past_the_triggers_and_leaves_them_in_place() -> None:
    make_chain("roles")

    with triggers_off(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET actor_name = 'villain'")

    assert AuditEvent.objects.filter(actor_name="villain").count() == 4
    with (
        as_superuser(),
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
    ):
        AuditEvent.objects.all().delete()
