"""Long statements go to the driver with their places numbered, and keys are drawn before rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db
from audit.lib.prepared import NextKeys, asked_together
from audit.lib.statements import _numbered, rows_of_statement
from audit.lib.writes import Insert, write_together
from audit.models import AuditEvent
from audit.services import record, stream
from policies.models import User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("sql", "numbered"),
    [
        ("SELECT %s, %s", "SELECT $1, $2"),
        ("SELECT 1", "SELECT 1"),
        ("a LIKE 'x%%' AND b = %s", "a LIKE 'x%' AND b = $1"),
        ("a LIKE '%%s' AND b IN (%s, %s) OR '%%%%'", "a LIKE '%s' AND b IN ($1, $2) OR '%%'"),
    ],
)  # fmt: skip
def test_places_are_numbered_and_percent_signs_stay(sql: str, numbered: str) -> None:
    assert _numbered(sql) == numbered


def test_a_statement_answers_the_same_whether_it_is_logged_or_not() -> None:
    own = transaction.get_connection()
    sql = "SELECT %s, 'a' LIKE '%%a', 'b' LIKE %s"

    plain = rows_of_statement(sql, ("text", "b%"), own)
    with CaptureQueriesContext(connection) as asked:
        logged = rows_of_statement(sql, ("text", "b%"), own)

    assert plain == logged == [("text", True, True)]
    assert len(asked) == 1


def test_who_watches_statements_gets_them_as_django_has_them() -> None:
    seen: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        rows_of_statement("SELECT %s", (1,), transaction.get_connection())

    assert seen == ["SELECT %s"]


def test_an_error_of_a_long_statement_is_djangos() -> None:
    with pytest.raises(db.DatabaseError), transaction.atomic():
        rows_of_statement("SELECT nothing FROM nowhere WHERE a = %s", (1,), connection)


@pytest.mark.postgres
def test_a_key_drawn_before_is_the_one_the_row_gets_and_the_next_is_higher() -> None:
    event = record(AuditCode.ROLES_SYNCED, actor=Actor.system("test"), subject=stream("roles"))
    keys = NextKeys(AuditEvent, User)

    with asked_together(keys):
        first = keys.drawn()
    person = User(pk=first[User], username="drawn", person="drawn")
    write_together(Insert([person]))
    second = NextKeys(User).drawn()

    assert first[AuditEvent] > event.pk
    assert User.objects.get(username="drawn").pk == first[User]
    assert second[User] > first[User]
    assert User.objects.create(username="next", person="next").pk > first[User]


@pytest.mark.postgres
def test_a_connection_that_died_is_replaced_before_a_long_statement() -> None:
    own = transaction.get_connection()
    asked: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(own, "close_if_health_check_failed", lambda: asked.append("checked"))
        rows_of_statement("SELECT 1", (), own)

    assert asked == ["checked"]
