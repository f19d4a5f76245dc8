"""Each system runs once per test process, and is furnished as new for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.peers import sql
from tests.peers.iam import Iam, moto
from tests.peers.ldap import Ldap, slapd
from tests.peers.mail import Mail, mail_servers
from tests.peers.peer import absent
from tests.peers.scim import Scim, scim_server
from tests.servers import NoServer


@pytest.fixture(autouse=True)
def _impatient(settings: Settings) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=4)


def _once(start: Callable[[], AbstractContextManager[Any]]) -> Iterator[Any]:
    """What it gives while it runs, or why it does not: whoever needs it is skipped, or fails."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(start())
        except NoServer as missing:
            yield missing


def _there(found: Any) -> Any:
    if isinstance(found, NoServer):
        absent(str(found))
    return found


@pytest.fixture(scope="session")
def running_scim() -> Iterator[Any]:
    yield from _once(scim_server)


@pytest.fixture(scope="session")
def running_slapd() -> Iterator[Any]:
    yield from _once(slapd)


@pytest.fixture(scope="session")
def running_sqlite() -> Iterator[Any]:
    yield from _once(sql.sqlite)


@pytest.fixture(scope="session")
def running_postgresql() -> Iterator[Any]:
    yield from _once(sql.postgresql)


@pytest.fixture(scope="session")
def running_mariadb() -> Iterator[Any]:
    yield from _once(sql.mariadb)


@pytest.fixture
def erp_on_sqlite(running_sqlite: Any, settings: Settings) -> sql.Database:
    return sql.Database(_there(running_sqlite), settings)


@pytest.fixture
def erp_on_postgresql(running_postgresql: Any, settings: Settings) -> sql.Database:
    return sql.Database(_there(running_postgresql), settings)


@pytest.fixture
def erp_on_mariadb(running_mariadb: Any, settings: Settings) -> sql.Database:
    return sql.Database(_there(running_mariadb), settings)


@pytest.fixture
def scim(running_scim: Any, settings: Settings) -> Iterator[Scim]:
    found = Scim(_there(running_scim), settings)
    yield found
    found.close()


@pytest.fixture(scope="session")
def running_moto() -> Iterator[Any]:
    yield from _once(moto)


@pytest.fixture
def iam(running_moto: Any, settings: Settings) -> Iterator[Iam]:
    found = Iam(_there(running_moto), settings)
    yield found
    found.close()


@pytest.fixture(scope="session")
def running_mail() -> Iterator[Any]:
    yield from _once(mail_servers)


@pytest.fixture
def mail(running_mail: Any, settings: Settings) -> Mail:
    found: Mail = replace(_there(running_mail), settings=settings)
    found.journal.taken = 0
    found.configure()
    return found


@pytest.fixture
def ldap(running_slapd: Any, settings: Settings) -> Ldap:
    return Ldap(_there(running_slapd), settings)
