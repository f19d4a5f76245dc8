"""The helpdesk with a token service, and a process that forgets what it had in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from tests.authentication.double import TokenHelpdesk, credential, running

Start = Callable[[str], TokenHelpdesk]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts the helpdesk with a scheme, configured as any system that is a file."""
    settings.CREDENTIALS_KEY = "a key of a test, long enough to be one"
    with ExitStack() as stack:

        def begin(kind: str) -> TokenHelpdesk:
            system = stack.enter_context(running(tmp_path, kind))
            settings.SYSTEMS_PATH = (str(tmp_path / "systems"),)
            here = {"base_url": system.url, "token": credential(kind)}
            settings.CONNECTORS = {**settings.CONNECTORS, "helpdesk": here}
            return system

        yield begin
    from connectors import registry  # not before Django is set up
    from connectors.connections import forget_connections

    registry._built.cache_clear()
    forget_connections()
