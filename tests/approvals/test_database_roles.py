"""The application's role does its work on PostgreSQL, and gets past nothing the database holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction

from approvals.choices import PauseScope
from approvals.models import ActionRequest
from approvals.services.execute import execute
from approvals.services.pauses import lift, pause
from config.checks import check_database
from config.database_roles import hardening
from tests.approvals.make import INSTALLER, Cast, approve, ask, make_crm, make_request, refund

OWNER, APPLICATION = "countersign_test_owner", "countersign_test_application"

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
    "no migration": "DELETE FROM django_migrations",
}


@contextmanager
def application_role() -> Iterator[None]:
    """Be the application's role; the roles go when the test's transaction is rolled back."""
    for statement in hardening(connection, owner=OWNER, application=APPLICATION):
        run(statement)
    run(f"SET LOCAL ROLE {APPLICATION}")
    try:
        yield
    finally:
        run("RESET ROLE")


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.postgres
def test_the_application_role_does_the_work_from_proposal_to_read_back(cast: Cast) -> None:
    connection.check_constraints()  # ownership does not move while checks wait

    with application_role():
        request = make_crm(cast)
        approve(request, cast.otto)
        execute(request.pk)
        ask(make_request(cast.agent, refund("ch_1003", "600.00")), cast.mona)
        lift(pause(PauseScope.ALL, actor=INSTALLER, reason="stop").pk, actor=INSTALLER)
        connection.check_constraints()

        assert ActionRequest.objects.get(pk=request.pk).state in {"verified", "audited"}


@pytest.mark.postgres
@pytest.mark.django_db
def test_the_application_role_gets_past_nothing() -> None:
    assert [warning.id for warning in check_database()] == ["countersign.W022"]

    with application_role():
        assert check_database() == []
        for statement in WAYS_PAST.values():
            with pytest.raises(ProgrammingError), transaction.atomic():
                run(statement)


@pytest.mark.postgres
@pytest.mark.django_db
def test_hardening_again_makes_no_role_and_moves_no_table() -> None:
    first = list(hardening(connection, owner=OWNER, application=APPLICATION))
    with application_role():
        run("RESET ROLE")
        again = list(hardening(connection, owner=OWNER, application=APPLICATION))

        assert any("CREATE ROLE" in statement for statement in first)
        assert not any("CREATE ROLE" in s or "OWNER TO" in s for s in again)


@pytest.mark.skipif(connection.vendor == "postgresql", reason="about SQLite")
def test_sqlite_has_no_roles_and_says_so() -> None:
    with pytest.raises(CommandError, match="SQLite has no roles"):
        call_command("harden_database")
