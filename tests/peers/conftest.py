"""Each system runs once per test process, and is furnished as new for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from tests.peers.peer import absent
from tests.peers.scim import Scim, scim_server
from tests.servers import NoServer


@pytest.fixture(autouse=True)
def _impatient(settings: Settings) -> None:
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=2)


@pytest.fixture(scope="session")
def running_scim() -> Iterator[str | NoServer]:
    try:
        with scim_server() as address:
            yield address
    except NoServer as missing:
        yield missing


@pytest.fixture
def scim(running_scim: str | NoServer, settings: Settings) -> Iterator[Scim]:
    if isinstance(running_scim, NoServer):
        absent(str(running_scim))
    found = Scim(running_scim, settings)
    yield found
    found.close()
