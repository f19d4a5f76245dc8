"""The outside systems, and an agent with a key, for every test of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.api.make import AgentClient


@pytest.fixture
def client(db: None) -> AgentClient:
    """An agent that may propose everything, in a house with one manager."""
    from tests.api.make import AgentClient  # models exist only once Django is set up
    from tests.approvals.make import make_agent, make_house, make_key, make_limit, make_person

    make_house()
    make_limit(make_person("mona", "manager"), "5000.00")
    return AgentClient(make_key(make_agent(make_person("olga", "agent owner"))))
