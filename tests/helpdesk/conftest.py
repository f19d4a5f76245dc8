"""The helpdesk running beside the sandbox, configured as any system that is a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from connectors.sandbox.server import Sandbox
from tests.approvals.conftest import begins_with, cast
from tests.helpdesk.double import FOLDER, TOKEN, Helpdesk, running

__all__ = ["begins_with", "cast", "ticketing"]


@pytest.fixture
def ticketing(sandbox: Sandbox, settings: Settings, tmp_path: Path) -> Iterator[Helpdesk]:
    with running(tmp_path) as (system, address):
        settings.SYSTEMS_PATH = (FOLDER,)
        here = {"base_url": address, "token": TOKEN}
        settings.CONNECTORS = {**settings.CONNECTORS, "helpdesk": here}
        yield system
