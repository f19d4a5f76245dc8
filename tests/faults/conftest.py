"""A world per test: database cloned from a template, sandbox, Redis, and no transaction around."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.db import connection
from psycopg import sql
from pytest_django.fixtures import Settings
from pytest_django.plugin import DjangoDbBlocker

from tests import programs
from tests.database import APPLICATION, as_application, harden, maintenance, options_for
from tests.faults.broker import Broker
from tests.faults.cluster import Cluster
from tests.faults.processes import free_block

if TYPE_CHECKING:
    from tests.faults.world import World

# What imports models is imported inside the fixtures: this file is read before Django is set up.

TEMPLATE = f"faults_template_{os.getpid()}"


@contextmanager
def using_database(
    name: str, blocker: DjangoDbBlocker, *, role: str | None = APPLICATION, **elsewhere: str
) -> Iterator[None]:
    """Point this process at another database, in autocommit as a web process is.

    `role` None: as who logs in, who may make tables.
    """
    before = dict(connection.settings_dict)
    options = options_for(role)
    with blocker.unblock():
        connection.close()
        connection.settings_dict.update({"NAME": name, "OPTIONS": options, **elsewhere})
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict.update(before)


def drop(name: str) -> None:
    with maintenance() as admin:
        admin.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


@pytest.fixture(scope="session")
def template(database_roles: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A migrated, hardened, furnished database to clone: once costs what one test may."""
    from tests.faults.make import furnish

    drop(TEMPLATE)
    with maintenance() as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    try:
        with using_database(TEMPLATE, django_db_blocker, role=None):
            call_command("migrate", verbosity=0)
            harden()
        with using_database(TEMPLATE, django_db_blocker):
            furnish()
        yield TEMPLATE
    finally:
        drop(TEMPLATE)


@pytest.fixture
def database(template: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """This test's own database, which this process uses without a transaction around it."""
    name = template.replace("template", "world")
    drop(name)
    with maintenance() as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    try:
        with using_database(name, django_db_blocker, role=None):
            harden()  # rights on the database itself are not cloned
        with using_database(name, django_db_blocker):
            yield name
    finally:
        drop(name)


@pytest.fixture(scope="session")
def redis_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture
def broker(redis_folder: Path) -> Iterator[Broker]:
    running = Broker(redis_folder)
    yield running
    running.kill()


@pytest.fixture
def world(database: str, broker: Broker, tmp_path: Path, settings: Settings) -> Iterator[World]:
    """The sandbox is up and this process talks to it; workers are the test's to start."""
    from tests.faults.world import postgres_url

    url = postgres_url(database, connection.settings_dict)
    with a_world(as_application(url), broker, tmp_path, settings) as made:
        yield made


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A database server of this test's own."""
    if programs.postgres_folder() is None:
        pytest.skip("needs PostgreSQL's initdb")
    made = Cluster.in_temporary_folder()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def fragile(
    cluster: Cluster,
    broker: Broker,
    tmp_path: Path,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[World]:
    """A world on a database that may crash."""
    from tests.faults.make import furnish

    there = {"HOST": "127.0.0.1", "PORT": str(cluster.port), "USER": "root", "PASSWORD": ""}
    with using_database("postgres", django_db_blocker, role=None, **there):
        call_command("migrate", verbosity=0)
        harden()
    with using_database("postgres", django_db_blocker, **there):
        furnish()
        with a_world(as_application(cluster.url), broker, tmp_path, settings) as made:
            yield made


@contextmanager
def a_world(url: str, broker: Broker, tmp_path: Path, settings: Settings) -> Iterator[World]:
    """A world around that database."""
    from tests.faults.world import LEASE, TIME_LIMIT, TIMEOUT, World

    port = free_block()
    made = World(
        folder=tmp_path,
        broker=broker,
        sandbox_port=port,
        env={
            "DATABASE_URL": url,
            "BROKER_URL": broker.url,
            "COUNTERSIGN_VAR": str(tmp_path / "var"),
            "SANDBOX_PORT_BASE": str(port),
            "RECORDS_URL": f"sqlite:///{tmp_path / 'sandbox' / 'records.sqlite3'}",
            "CONNECTOR_TIMEOUT_SECONDS": str(TIMEOUT),
            "EXECUTION_LEASE_SECONDS": str(LEASE),
            "TASK_TIME_LIMIT_SECONDS": str(TIME_LIMIT),
            "SWEEP_SECONDS": "1",
        },
    )
    (tmp_path / "var" / "static").mkdir(parents=True)
    settings.CONNECTORS = connectors_at(port, tmp_path)
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=TIMEOUT)
    settings.EXECUTION_LEASE = timedelta(seconds=LEASE)
    try:
        made.programs.append(made.sandbox())
        yield made
    finally:
        made.end()


def connectors_at(port: int, folder: Path) -> dict[str, dict[str, str]]:
    """What the settings derive from SANDBOX_PORT_BASE, for this process."""
    base = "http://127.0.0.1:"
    return {
        "payments": {"base_url": f"{base}{port}", "api_key": "sk_test_sandbox"},
        "email": {
            "url": f"smtp://127.0.0.1:{port + 1}",
            "sender": "service@retailer.example",
            "archive_url": f"{base}{port + 2}",
        },
        "records": {"url": f"sqlite:///{folder / 'sandbox' / 'records.sqlite3'}"},
        "directory": {"base_url": f"{base}{port + 3}", "token": "directory-sandbox"},
        "changes": {"base_url": f"{base}{port + 4}", "token": "changes-sandbox"},
        "logistics": {"base_url": f"{base}{port + 5}", "token": "logistics-sandbox"},
    }
