"""The outside systems: one running sandbox per test process, as new for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from connectors.sandbox.server import Sandbox


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Starting and stopping six servers costs more than most tests: it is done once."""
    with Sandbox(tmp_path_factory.mktemp("systems")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_memory_of_other_tests(settings: Settings) -> None:
    """Every test has a database of its own; to a memory they shared it would look restored."""
    name = f"newest-event-{uuid4().hex}.json"
    settings.NEWEST_EVENT_FILE = str(settings.VAR_DIR / "memories" / name)


@pytest.fixture
def sandbox(running_sandbox: Sandbox, settings: Settings) -> Sandbox:
    """All outside systems as on their first start. Whoever stops them starts their own."""
    running_sandbox.reset()
    settings.CONNECTORS = running_sandbox.connectors
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=5)
    return running_sandbox
