"""A running web server, the outside systems, and everybody's way in: HTTP, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from approvals.demo.client import AgentClient, PersonClient
from connectors.sandbox.server import Sandbox


@dataclass(slots=True)
class House:
    """The system as its users meet it."""

    url: str
    sandbox: Sandbox
    agent: AgentClient
    _people: dict[str, PersonClient] = field(default_factory=dict)

    def person(self, username: str) -> PersonClient:
        """Somebody, signed in."""
        from tests.approvals.make import PASSWORD

        if username not in self._people:
            self._people[username] = PersonClient(self.url, username, PASSWORD)
        return self._people[username]

    def effects(self, system: str) -> list[dict[str, Any]]:
        """What really happened there, by the outside system's own account."""
        if system == "records":
            return self.sandbox.effects("records")
        answer = httpx.get(f"{self.sandbox.addresses[system]}/_effects", trust_env=False)
        found: list[dict[str, Any]] = answer.json()
        return found

    def work(self) -> None:
        """What worker and beat would do, once."""
        call_command("sweep", stdout=StringIO())

    def close(self) -> None:
        for client in [self.agent, *self._people.values()]:
            client.close()


@pytest.fixture
def house(
    transactional_db: None, live_server: LiveServer, sandbox: Sandbox, settings: Settings
) -> Iterator[House]:
    """People of every team, an agent that may propose everything, and a web server."""
    from tests.approvals.make import make_agent, make_house, make_key, make_limit, make_person

    settings.BASE_URL = live_server.url
    make_house()
    agent = make_agent(make_person("olga", "agent owner", "finance"))
    for name, team in (
        ("fiona", "finance"),
        ("sven", "security"),
        ("susi", "support"),
        ("sam", "support"),
        ("omar", "operations"),
        ("olive", "operations"),
        ("mona", "manager"),
        ("max", "manager"),
        ("ada", "auditor"),
        ("petra", "ops admin"),
    ):
        person = make_person(name, team)
        if name in ("fiona", "mona", "max"):
            make_limit(person, {"fiona": "500.00", "mona": "1000.00", "max": "20000.00"}[name])
    house = House(live_server.url, sandbox, AgentClient(live_server.url, make_key(agent)))
    yield house
    house.close()
