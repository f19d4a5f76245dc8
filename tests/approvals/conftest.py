"""The outside systems and the people, for every test of the lifecycle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.sandbox.server import Sandbox

if TYPE_CHECKING:
    from tests.approvals.make import Cast


@pytest.fixture
def cast(sandbox: Sandbox, db: None) -> Cast:
    """The house, its people and an agent, with outside systems to act on."""
    from tests.approvals.make import make_cast  # models exist only once Django is set up

    return make_cast()
