"""The outside systems: one running sandbox per test process, as new for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pytest_django.fixtures import Settings

from connectors.sandbox.server import Sandbox


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """Starting and stopping six servers costs more than most tests: it is done once."""
    with Sandbox(Path(os.environ["COUNTERSIGN_VAR"]) / "systems") as running:
        yield running


@pytest.fixture(autouse=True)
def _no_memory_of_other_tests(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a database of its own; to a memory they shared it would look restored.

    What a process looks up every few seconds it looks up once a test, however slow: tests count.
    """
    name = f"newest-event-{uuid4().hex}.json"
    settings.NEWEST_EVENT_FILE = str(settings.VAR_DIR / "memories" / name)
    monkeypatch.setattr("policies.services.shadow._known", None)
    monkeypatch.setattr("policies.services.shadow.KNOWN_FOR", 600.0)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty threads on a loaded machine are slow, not dead: none of their reads is given up.

    `test_hanging_systems` puts the real bounds back, and programs tests start keep them.
    """
    monkeypatch.setattr("approvals.domain.target_reader.READ_SECONDS", 120.0)
    monkeypatch.setattr("approvals.domain.target_reader.HANGS_AFTER", 120.0)


@pytest.fixture(autouse=True)
def _a_worker_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker would announce a moment later is announced at once, in the same transaction.

    Programs tests start have workers of their own.
    """

    def announce(request_id: UUID) -> None:
        from approvals.services.deadlines import step_on  # settings have been read by now

        step_on(request_id)

    monkeypatch.setattr("approvals.domain.dispatch.announcement_of", announce)


@pytest.fixture
def sandbox(running_sandbox: Sandbox, settings: Settings) -> Sandbox:
    """All outside systems as on their first start. Whoever stops them starts their own."""
    running_sandbox.reset()
    settings.CONNECTORS = running_sandbox.connectors
    settings.CONNECTOR_TIMEOUT = timedelta(seconds=5)
    return running_sandbox
