"""The outside systems: one running sandbox per test process, as new for each test."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django.fixtures import Settings

from connectors.catalogue import ActionType, AtMostOnce, Proof
from connectors.sandbox.server import Sandbox


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """Starting and stopping six servers costs more than most tests: it is done once."""
    with Sandbox(Path(os.environ["COUNTERSIGN_VAR"]) / "systems") as running:
        yield running


@pytest.fixture(autouse=True)
def _no_memory_of_other_tests(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Every test has a database of its own; to a memory they shared it would look restored.

    What a process looks up every few seconds it looks up once a test, however slow: tests count.
    """
    from connectors.connections import Known  # settings have been read by now

    name = f"newest-event-{uuid4().hex}.json"
    settings.NEWEST_EVENT_FILE = str(settings.VAR_DIR / "memories" / name)
    monkeypatch.setattr("policies.services.shadow._known", None)
    monkeypatch.setattr("policies.services.shadow.KNOWN_FOR", 600.0)
    monkeypatch.setattr("connectors.connections._known_rows", (time.monotonic(), Known()))
    monkeypatch.setattr("connectors.connections.KNOWN_FOR", 600.0)
    if request.node.get_closest_marker("once"):  # there is no database to keep it in
        monkeypatch.setattr("connectors.circuit.count_failure", lambda name: None)


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


def declare(monkeypatch: pytest.MonkeyPatch, key: str, **changes: Any) -> ActionType:
    """Let the action type be another one for this test, as if its system were different."""
    from connectors import loading, registry  # settings have been read by now

    kind = replace(registry.action_type(key), **changes)
    found = loading.load(())
    changed = replace(found, types={**found.types, key: kind})
    monkeypatch.setattr(registry, "_registered", lambda: changed)
    return kind


WITHOUT_LOOK_UP = AtMostOnce(Proof.KEYED, window=timedelta(hours=24))
"""As payments are, at a target that cannot be asked what became of a call."""
