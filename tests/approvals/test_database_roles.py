"""The tests are the application's role on PostgreSQL, and get past nothing the database holds.

That this role can do the application's work is what every other test shows.
"""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction

from config.checks import check_database
from config.database_roles import hardening
from tests.database import APPLICATION, OWNER, as_superuser

WAYS_PAST = {
    "switch triggers off": "ALTER TABLE approvals_grant DISABLE TRIGGER ALL",
    "drop a table": "DROP TABLE audit_auditevent",
    "play a replica": "SET session_replication_role = replica",
    "empty the trail": "TRUNCATE audit_auditevent",
    "delete events": "DELETE FROM audit_auditevent",
    "change events": "UPDATE audit_auditevent SET actor_name = 'villain'",
    "change history": "UPDATE policies_historicaluser SET username = 'villain'",
    "delete requests": "DELETE FROM approvals_actionrequest",
    "change decisions": "UPDATE approvals_decision SET verdict = 'approve'",
    "own trigger": "CREATE TRIGGER x BEFORE INSERT ON approvals_grant "
    "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "own table": "CREATE TABLE villain (id int)",
    "own temporary table": "CREATE TEMPORARY TABLE villain (id int)",
    "no migration": "DELETE FROM django_migrations",
}


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.postgres
@pytest.mark.django_db
def test_the_tests_are_the_application_role_and_own_nothing() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('is_superuser')")
        assert cursor.fetchone() == (APPLICATION, "off")
        cursor.execute("SELECT count(*) FROM pg_class WHERE pg_has_role(relowner, 'MEMBER')")
        assert cursor.fetchone() == (0,)

    assert check_database() == []
    with as_superuser():
        assert [warning.id for warning in check_database()] == ["countersign.W022"]
    assert check_database() == []


@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize("statement", WAYS_PAST.values(), ids=WAYS_PAST)
def test_the_application_role_gets_past_nothing(statement: str) -> None:
    refusal = "permission denied|must be owner"
    with pytest.raises(ProgrammingError, match=refusal), transaction.atomic():
        run(statement)


@pytest.mark.postgres
@pytest.mark.django_db
def test_hardening_again_makes_no_role_and_moves_no_table() -> None:
    first = list(hardening(connection, owner="another_owner", application="another_app"))
    again = list(hardening(connection, owner=OWNER, application=APPLICATION))

    assert sum("CREATE ROLE" in statement for statement in first) == 2
    assert any("OWNER TO" in statement for statement in first)
    assert not any("CREATE ROLE" in s or "OWNER TO" in s for s in again)


@pytest.mark.skipif(connection.vendor == "postgresql", reason="about SQLite")
def test_sqlite_has_no_roles_and_says_so() -> None:
    with pytest.raises(CommandError, match="SQLite has no roles"):
        call_command("harden_database")
