"""A sandbox per test, and settings that point at it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from connectors.sandbox.server import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path, settings: Settings) -> Iterator[Sandbox]:
    """All outside systems, fresh, on free ports."""
    with Sandbox(tmp_path) as running:
        settings.CONNECTORS = running.connectors
        settings.CONNECTOR_TIMEOUT = timedelta(seconds=5)
        yield running
