"""The outside systems, and an agent with a key, for every test of the MCP endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.api.make import AgentClient
    from tests.worlds import Maker


@pytest.fixture
def begins_with() -> Maker:
    """A house with one manager, and an agent's key."""
    from tests.api.make import make_house_with_key  # models exist only once Django is set up

    return make_house_with_key


@pytest.fixture
def client(begun: Any) -> AgentClient:
    """An agent that may propose everything, in a house with one manager."""
    from tests.api.make import AgentClient

    return AgentClient(begun)
