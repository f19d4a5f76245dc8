"""A trail that takes no events: nothing is done, and everybody is told so in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.core.cache import cache
from django.db import connection, transaction

from approvals.models import ActionRequest
from audit.actors import Actor
from audit.events import AuditCode
from audit.models import AuditEvent
from audit.services import TrailUnwritable, record, stream, try_to_record
from tests.api.make import AgentClient
from tests.approvals.make import make_agent, make_house, make_key, make_person
from tests.database import as_superuser

SYSTEM = Actor.system("tests")


@contextmanager
def failing_trigger() -> Iterator[None]:
    """Somebody's trigger refuses every event."""
    with as_superuser(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "CREATE FUNCTION no_events() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'the trail is closed'; END $$"
            )
            cursor.execute(
                "CREATE TRIGGER no_events BEFORE INSERT ON audit_auditevent "
                "FOR EACH ROW EXECUTE FUNCTION no_events()"
            )
        else:
            cursor.execute(
                "CREATE TRIGGER no_events BEFORE INSERT ON audit_auditevent "
                "BEGIN SELECT RAISE(ABORT, 'the trail is closed'); END"
            )
    try:
        yield
    finally:
        with as_superuser(), connection.cursor() as cursor:
            on = " ON audit_auditevent" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER no_events{on}")
            if connection.vendor == "postgresql":
                cursor.execute("DROP FUNCTION no_events()")


@contextmanager
def read_only() -> Iterator[None]:
    """A standby after a failover, a file system gone read-only: reading works, writing does not."""
    postgres = connection.vendor == "postgresql"
    on, off = (
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        )
        if postgres
        else ("PRAGMA query_only=ON", "PRAGMA query_only=OFF")
    )
    with connection.cursor() as cursor:
        cursor.execute(on)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(off)


@contextmanager
def missing_privilege(kept: str = "SELECT, UPDATE, DELETE") -> Iterator[None]:
    """The application's role lost INSERT on everything."""
    with as_superuser(), connection.cursor() as cursor:
        cursor.execute("CREATE ROLE countersign_no_insert")
        cursor.execute(f"GRANT {kept} ON ALL TABLES IN SCHEMA public TO countersign_no_insert")
        cursor.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO countersign_no_insert")
        cursor.execute("REVOKE INSERT ON audit_auditevent FROM countersign_no_insert")
        cursor.execute("SET ROLE countersign_no_insert")
        try:
            yield
        finally:
            cursor.execute("SET ROLE NONE")
            cursor.execute("DROP OWNED BY countersign_no_insert")
            cursor.execute("DROP ROLE countersign_no_insert")


@contextmanager
def missing_privilege_on_the_trail() -> Iterator[None]:
    """It lost INSERT on the trail alone."""
    with missing_privilege("SELECT, INSERT, UPDATE, DELETE"):
        yield


WAYS = [
    pytest.param(failing_trigger, id="trigger"),
    pytest.param(read_only, id="read-only"),
    pytest.param(missing_privilege, id="privilege", marks=pytest.mark.postgres),
    pytest.param(
        missing_privilege_on_the_trail, id="privilege on the trail", marks=pytest.mark.postgres
    ),
]
Way = Callable[[], "contextmanager[None]"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", WAYS)
def test_an_unwritable_trail_answers_503_with_a_sentence_and_keeps_nothing(way: Way) -> None:
    make_house()
    client = AgentClient(make_key(make_agent(make_person("olga", "agent owner"))))
    before = AuditEvent.objects.count()

    with way():
        answer = client.propose()

    assert answer.status_code == 503, answer.content
    assert answer.json()["title"] == "Nothing can be recorded now"
    assert "not done" in answer.json()["detail"]
    assert answer["Retry-After"] == "5"
    assert (ActionRequest.objects.count(), AuditEvent.objects.count()) == (0, before)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", WAYS)
def test_it_is_not_ready_while_the_trail_takes_nothing_and_ready_afterwards(way: Way) -> None:
    from django.test import Client

    make_house()
    client = Client()

    with way():
        cache.clear()
        during = client.get("/readyz")
    cache.clear()
    after = client.get("/readyz")

    assert (during.status_code, during.json()["part"]) == (503, "trail")
    assert "recorded" in during.json()["reason"]
    assert after.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_trying_leaves_nothing_behind() -> None:
    try_to_record()

    assert not AuditEvent.objects.filter(actor_id="readiness").exists()


@pytest.mark.django_db(transaction=True)
def test_recording_says_that_the_trail_is_unwritable() -> None:
    with (
        failing_trigger(),
        pytest.raises(TrailUnwritable),
        transaction.atomic(),
    ):
        record(AuditCode.ROLES_SYNCED, actor=SYSTEM, subject=stream("roles"))
