"""Subjects with chains, and a kind of record with a state that only these tests know."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import connection, models, transaction

from audit.actors import Actor
from audit.events import AuditCode
from audit.models import AuditEvent, AuditStream, Chained
from audit.reading import Row
from audit.services import Entry, record_all
from tests.database import as_superuser

MARIA = Actor.system("maria")


class Paper(Chained):
    """Known to no registry: nobody else's test sees it."""

    id = models.CharField(max_length=36, primary_key=True)
    state = models.CharField(max_length=24)

    class Meta:
        app_label = "audit"
        apps = Apps()


KINDS = {"audit.auditstream": AuditStream, "audit.paper": Paper}


def make_paper_table() -> None:
    with as_superuser(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE audit_paper (id varchar(36) PRIMARY KEY, state varchar(24) NOT NULL, "
            "audit_seq integer NOT NULL, audit_head varchar(64) NOT NULL)"
        )
        if connection.vendor == "postgresql":
            cursor.execute("GRANT ALL ON audit_paper TO PUBLIC")


def make_paper(name: str, *states: str) -> Paper:
    """A paper that has been through the states."""
    paper = Paper(id=name, state=states[-1])
    with transaction.atomic():
        record_all([Entry(AuditCode.ROUTED, MARIA, state) for state in states], subject=paper)
        paper.save(force_insert=True)
    return paper


def make_chain(name: str, length: int = 4) -> list[AuditEvent]:
    """A stream with that many events."""
    subject = AuditStream(name=name)
    entries = [
        Entry(AuditCode.ROLES_SYNCED, MARIA, data={"changes": f"{name} {n}"}) for n in range(length)
    ]
    with transaction.atomic():
        events = record_all(entries, subject=subject)
        subject.save(force_insert=True)
    return events


def make_row(*, seq: int = 1, key_id: str = "key", mac: str = "") -> Row:
    """An event as verification reads it, of the subject "t i"."""
    return Row(
        seq, key_id, mac, "t", "i", seq, "code", "system", "it", "it", "2026-01-02", "", "{}"
    )
