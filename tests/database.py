"""Who the tests are to the database: the application's role, and meanwhile somebody who may more.

On PostgreSQL the test database is hardened as production's is, and every connection of the tests,
their threads and the processes they start is the application's role. What the application may not
do (emptying a test database, tampering, another schema) tests say with `as_superuser` or
`triggers_off`. `tests/conftest.py` hooks this in with

    pytest_plugins = ["tests.database"]

Tests with `transaction=True` end with a flush, which deletes (SQLite) or truncates (PostgreSQL)
every table; the triggers refuse that, as they should. One autouse fixture makes every flush run
with triggers off. Ordinary tests roll back and need nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from django.core.management import get_commands
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase
from psycopg import sql
from psycopg.pq import TransactionStatus
from pytest_django.plugin import DjangoDbBlocker

# Roles belong to the whole server: every process of the tests has two of its own.
OWNER = f"countersign_tests_{os.getpid()}_owner"
APPLICATION = f"countersign_tests_{os.getpid()}_app"


@pytest.fixture(scope="session")
def database_roles() -> Iterator[None]:
    """The roles go last, when no database knows them any more."""
    yield
    if connection.vendor == "postgresql":
        with maintenance() as admin:
            for role in (APPLICATION, OWNER):
                admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


@pytest.fixture(scope="session")
def django_db_setup(
    database_roles: None, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """The test database, hardened; this process is the application's role in it from then on."""
    if connection.vendor != "postgresql":
        yield
        return
    with django_db_blocker.unblock():
        harden()
        become(APPLICATION)
    yield
    with django_db_blocker.unblock():
        become(None)  # who drops the database


def harden() -> None:
    """What `manage.py harden_database --execute` does."""
    from config.database_roles import hardening

    with transaction.atomic(), connection.cursor() as cursor:
        for statement in hardening(connection, owner=OWNER, application=APPLICATION):
            cursor.execute(statement)


def become(role: str | None) -> None:
    """The role every new connection of this process takes, in all threads; None: who logs in."""
    connection.close()
    connection.settings_dict["OPTIONS"] = options_for(role)


def options_for(role: str | None) -> dict[str, Any]:
    """This process's options of a connection, in that role.

    libpq's own; Django's `assume_role` hangs when it is used with a pool.
    """
    options = {**connection.settings_dict["OPTIONS"], "options": f"-c role={role}"}
    if role is None:
        del options["options"]
    return options


def as_application(url: str) -> str:
    """The address of a hardened database, for a process that is the application's role there."""
    return f"{url}?options=-c%20role%3D{APPLICATION}"


@contextmanager
def maintenance() -> Iterator[psycopg.Connection]:
    """A connection that may create and drop databases."""
    from tests.faults.world import postgres_url

    with psycopg.connect(
        postgres_url("postgres", connection.settings_dict), autocommit=True
    ) as admin:
        yield admin


@contextmanager
def as_superuser(database: BaseDatabaseWrapper | Any = connection) -> Iterator[None]:
    """Run the block as who logged in, who may do what the application's role may not.

    SQLite has no roles: there everybody may.
    """
    if database.vendor != "postgresql":
        yield
        return
    with database.cursor() as cursor:
        cursor.execute("SELECT current_setting('role')")
        (before,) = cursor.fetchone()
        cursor.execute("SET ROLE NONE")
        try:
            yield
        finally:
            _put_back(database, cursor, "role", before)


@contextmanager
def triggers_off(database: BaseDatabaseWrapper | Any = connection) -> Iterator[None]:
    """Run the block as somebody who can get past every trigger of the database.

    PostgreSQL: this session plays a replica, on which ordinary triggers do not fire (needs a
    superuser). SQLite: the triggers are dropped and put back word for word.
    """
    with as_superuser(database), database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute("SELECT current_setting('session_replication_role')")
            (before,) = cursor.fetchone()
            cursor.execute("SET session_replication_role = replica")
            try:
                yield
            finally:
                _put_back(database, cursor, "session_replication_role", before)
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f'DROP TRIGGER "{name}"')
        try:
            yield
        finally:
            for _, statement in triggers:  # a flush has put them back already
                cursor.execute(
                    statement.replace("CREATE TRIGGER", "CREATE TRIGGER IF NOT EXISTS", 1)
                )


def _put_back(database: Any, cursor: Any, setting: str, before: str) -> None:
    """Settings are part of a transaction: one that failed puts them back by itself."""
    if database.connection.info.transaction_status != TransactionStatus.INERROR:
        cursor.execute("SELECT set_config(%s, %s, false)", [setting, before])


@pytest.fixture(scope="session", autouse=True)
def _flush_gets_past_the_triggers() -> Iterator[None]:
    """Wrap the flush of `transaction=True` tests; nothing else of Django's changes.

    It is Django's own command again for that moment: ours refuses.
    """
    flush = TransactionTestCase._fixture_teardown

    def flush_without_triggers(case: TransactionTestCase) -> None:
        with ExitStack() as off, pytest.MonkeyPatch.context() as patch:
            patch.setitem(get_commands(), "flush", "django.core")
            for alias in case._databases_names(include_mirrors=False):
                off.enter_context(triggers_off(connections[alias]))
            flush(case)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", flush_without_triggers)
        yield
