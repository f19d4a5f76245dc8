"""Who the tests are to the database: the application's role, and meanwhile somebody who may more.

On PostgreSQL the test database is hardened as production's is, and every connection of the tests,
their threads and the processes they start is the application's role. What the application may not
do (emptying a test database, tampering, another schema) tests say with `as_superuser` or
`triggers_off`. `tests/conftest.py` hooks this in with

    pytest_plugins = ["tests.database"]

Nobody migrates but the first process of a run: the others copy its database. Tests with
`transaction=True` end by emptying theirs. Ordinary tests roll back and need nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase
from psycopg import sql
from psycopg.pq import TransactionStatus
from pytest_django.plugin import DjangoDbBlocker

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("COUNTERSIGN_TEST_ROOT") or mkdtemp(prefix="countersign-tests-"))
"""What the workers of one run share."""
RUN = FOLDER.name.rpartition("-")[2]
# Roles and the template belong to the whole server: every run of the tests has its own.
OWNER = f"countersign_tests_{RUN}_owner"
APPLICATION = f"countersign_tests_{RUN}_app"
TEMPLATE = f"countersign_tests_{RUN}_template"
MIGRATED = frozenset({"django_content_type", "auth_permission", "django_migrations"})
"""The tables `migrate` writes rows into."""


def pytest_unconfigure(config: pytest.Config) -> None:
    """Whoever started the workers ends last: drop what they shared on the server."""
    if hasattr(config, "workerinput") or not (FOLDER / "migrated").exists():
        return
    with maintenance() as admin:
        drop(admin, TEMPLATE)
        for role in (APPLICATION, OWNER):
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


@pytest.fixture(scope="session")
def migrated(
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
) -> str:
    """The file (SQLite) or database (PostgreSQL) to copy: migrated once, by whoever comes first.

    On PostgreSQL it is hardened, so that the roles are there too.
    """
    with _one_at_a_time(FOLDER / "migrating"), django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            return _migrated_database()
        return str(_migrated_file())


def _migrated_database() -> str:
    if not (FOLDER / "migrated").exists():
        with maintenance() as admin:
            create(admin, TEMPLATE)
        with _elsewhere(TEMPLATE):
            call_command("migrate", verbosity=0)
            harden()
        (FOLDER / "migrated").touch()
    return TEMPLATE


def _migrated_file() -> Path:
    """It outlives the run: until the code changes, the next one need not migrate."""
    folder = ROOT / "var" / "tests"
    file = folder / f"migrated-{_digest_of_the_code()}.sqlite3"
    with _one_at_a_time(folder / "migrating"):
        if not file.exists():
            for old in folder.glob("migrated-*"):
                old.unlink()
            unfinished = folder / "migrating.sqlite3"
            unfinished.unlink(missing_ok=True)
            with _elsewhere(str(unfinished)):
                call_command("migrate", verbosity=0)
            unfinished.rename(file)
    return file


def _digest_of_the_code() -> str:
    """Migrations, models and the triggers that follow from both may stand anywhere in it."""
    digest = sha256((ROOT / "uv.lock").read_bytes())
    for app in ("audit", "connectors", "policies", "approvals", "config"):
        for path in sorted((ROOT / app).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size}".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _one_at_a_time(file: Path) -> Iterator[None]:
    """Of all processes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _elsewhere(name: str) -> Iterator[None]:
    """This process on another database for a while, as who logs in."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


@pytest.fixture(scope="session")
def database_roles(migrated: str) -> None:
    """Owner and application; on SQLite there are none."""


@pytest.fixture(scope="session")
def django_db_setup(migrated: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A test database of this process's own, hardened; it is the application's role in there."""
    name = connection.creation._get_test_db_name()
    with django_db_blocker.unblock():
        connection.close()
        for place in (settings.DATABASES["default"], connection.settings_dict):
            place["NAME"] = name
        if connection.vendor == "postgresql":
            with maintenance() as admin:
                create(admin, name, template=migrated)
            harden()  # rights on the database itself are not copied
            become(APPLICATION)
        else:
            shutil.copy(migrated, name)
    yield
    with django_db_blocker.unblock():
        become(None)
        if connection.vendor == "postgresql":
            with maintenance() as admin:
                drop(admin, name)


def create(admin: psycopg.Connection, name: str, *, template: str = "template0") -> None:
    """Make a database, in place of one that a killed run may have left."""
    drop(admin, name)
    admin.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
    )


def drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


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
    server, _, _ = os.environ["TEST_DATABASE_URL"].rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
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


def empty() -> None:
    """Delete every row that is there, `migrate`'s own aside, past all triggers.

    As Django's flush leaves a database; but that truncates each of eighty tables, on PostgreSQL
    a file for each of their indexes, and writes `migrate`'s rows anew.
    """
    tables = set(connection.introspection.django_table_names(only_existing=True)) - MIGRATED
    name = connection.ops.quote_name
    with triggers_off(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {name(table)})"
                for table in sorted(tables)
            )
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {name(table)}")


@pytest.fixture(scope="session", autouse=True)
def _tests_end_with_an_empty_database() -> Iterator[None]:
    """Replace the flush of `transaction=True` tests; nothing else of Django's changes."""

    def end(case: TransactionTestCase) -> None:
        empty()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", end)
        yield
