"""A world per test: database cloned from a template, sandbox, Redis, and no transaction around."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django.fixtures import Settings
from pytest_django.plugin import DjangoDbBlocker

from connectors.sandbox.server import Ports, Sandbox
from tests import programs
from tests.database import (
    APPLICATION,
    as_application,
    create,
    drop,
    harden,
    maintenance,
    options_for,
)
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


@pytest.fixture(scope="session")
def template(migrated: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A furnished database to copy: once costs what one test may."""
    from tests.faults.make import furnish

    with maintenance() as admin:
        create(admin, TEMPLATE, template=migrated)
        try:
            with using_database(TEMPLATE, django_db_blocker, role=None):
                harden()  # rights on the database itself are not copied
            with using_database(TEMPLATE, django_db_blocker):
                furnish()
            yield TEMPLATE
        finally:
            drop(admin, TEMPLATE)


@pytest.fixture
def database(template: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """This test's own database, which this process uses without a transaction around it."""
    name = template.replace("template", "world")
    with maintenance() as admin:
        create(admin, name, template=template)
        try:
            with using_database(name, django_db_blocker, role=None):
                harden()
            with using_database(name, django_db_blocker):
                yield name
        finally:
            drop(admin, name)


@pytest.fixture(scope="session")
def redis_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture
def broker(redis_folder: Path) -> Iterator[Broker]:
    running = Broker(redis_folder)
    yield running
    running.kill()


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The outside systems, in this process: starting them costs more than most tests."""
    with Sandbox(tmp_path_factory.mktemp("outside"), Ports.from_base(free_block())) as running:
        yield running


@pytest.fixture
def world(
    database: str, broker: Broker, outside: Sandbox, tmp_path: Path, settings: Settings
) -> Iterator[World]:
    """The sandbox is up and this process talks to it; workers are the test's to start."""
    from tests.faults.world import postgres_url

    url = postgres_url(database, connection.settings_dict)
    with a_world(as_application(url), broker, outside, tmp_path, settings) as made:
        yield made


@pytest.fixture(scope="session")
def furnished_cluster(django_db_blocker: DjangoDbBlocker) -> Iterator[Cluster]:
    """A database server to copy, which does not run: migrated, hardened and furnished."""
    if programs.postgres_folder() is None:
        pytest.skip("needs PostgreSQL's initdb")
    from tests.faults.make import furnish

    made = Cluster.in_temporary_folder()
    try:
        with using_database("postgres", django_db_blocker, role=None, **_login(made)):
            call_command("migrate", verbosity=0)
            harden()
        with using_database("postgres", django_db_blocker, **_login(made)):
            furnish()
        made.stop()
        yield made
    finally:
        made.remove()


@pytest.fixture
def cluster(furnished_cluster: Cluster) -> Iterator[Cluster]:
    """A database server of this test's own."""
    made = furnished_cluster.copy()
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def fragile(
    cluster: Cluster,
    broker: Broker,
    outside: Sandbox,
    tmp_path: Path,
    settings: Settings,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[World]:
    """A world on a database that may crash."""
    with (
        using_database("postgres", django_db_blocker, **_login(cluster)),
        a_world(as_application(cluster.url), broker, outside, tmp_path, settings) as made,
    ):
        yield made


def _login(cluster: Cluster) -> dict[str, str]:
    return {"HOST": "127.0.0.1", "PORT": str(cluster.port), "USER": "root", "PASSWORD": ""}


@contextmanager
def a_world(
    url: str, broker: Broker, outside: Sandbox, folder: Path, settings: Settings
) -> Iterator[World]:
    """A world around that database."""
    from tests.faults.world import LEASE, TIME_LIMIT, TIMEOUT, World

    outside.reset()
    made = World(
        folder=folder,
        broker=broker,
        outside=outside,
        env={
            "DATABASE_URL": url,
            "BROKER_URL": broker.url,
            "COUNTERSIGN_VAR": str(folder / "var"),
            "SANDBOX_PORT_BASE": str(urlsplit(outside.addresses["payments"]).port),
            "RECORDS_URL": outside.records_url,
            "CONNECTOR_TIMEOUT_SECONDS": str(TIMEOUT),
            "EXECUTION_LEASE_SECONDS": str(LEASE),
            "TASK_TIME_LIMIT_SECONDS": str(TIME_LIMIT),
            "SWEEP_SECONDS": "1",
        },
    )
    (folder / "var" / "static").mkdir(parents=True)
    settings.CONNECTORS = outside.connectors
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=TIMEOUT)
    settings.EXECUTION_LEASE = timedelta(seconds=LEASE)
    try:
        yield made
    finally:
        made.end()
