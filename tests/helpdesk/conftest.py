"""The helpdesk running beside the sandbox, configured as any system that is a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from connectors.sandbox.server import Sandbox
from tests.approvals.conftest import begins_with, cast
from tests.helpdesk.double import FOLDER, TOKEN, Helpdesk
from tests.vendors.double import running

__all__ = ["begins_with", "cast", "ticketing"]


@pytest.fixture
def ticketing(sandbox: Sandbox, settings: Settings, tmp_path: Path) -> Iterator[Helpdesk]:
    with running(Helpdesk, tmp_path) as served:
        settings.SYSTEMS_PATH = (FOLDER,)
        here = {"base_url": served.url, "token": TOKEN}
        settings.CONNECTORS = {**settings.CONNECTORS, "helpdesk": here}
        yield served.system
