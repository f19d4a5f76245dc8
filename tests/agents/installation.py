"""An installation on one machine, started the way people start it: `manage.py up`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from approvals.demo.client import PersonClient
from config.local_env import write_local_env
from connectors.sandbox.server import Ports, Sandbox
from tests.faults.processes import ROOT, Program, free_block, free_port


@dataclass(slots=True)
class Installation:
    """Where it answers, whom it knows, and the outside systems it acts on."""

    url: str
    keys: dict[str, str]
    sandbox: Sandbox
    _people: dict[str, PersonClient] = field(default_factory=dict)

    def requests_of(self, name: str) -> list[dict[str, Any]]:
        """What that agent has proposed, in order."""
        found = httpx.get(
            f"{self.url}/api/v1/actions/",
            headers={"Authorization": f"Bearer {self.keys[name]}"},
            timeout=30,
            trust_env=False,
        ).raise_for_status()
        return sorted(found.json()["results"], key=lambda one: str(one["id"]))

    def person(self, username: str) -> PersonClient:
        """Somebody, signed in."""
        from tests.approvals.make import PASSWORD

        if username not in self._people:
            self._people[username] = PersonClient(self.url, username, PASSWORD)
        return self._people[username]

    def close(self) -> None:
        for person in self._people.values():
            person.close()

    def refunds_of(self, charge: str) -> list[int]:
        """What was really paid back, in cents, by the payment system's own book."""
        effects = self.sandbox.effects("payments")
        return [effect["amount"] for effect in effects if effect["target"] == f"charge {charge}"]


@contextmanager
def an_installation(folder: Path, *agents: str) -> Iterator[Installation]:
    """Furnish one with these agents, start it and end it."""
    write_local_env(folder / "var")
    port = free_port()
    with Sandbox(folder / "outside", Ports.from_base(free_block())) as sandbox:
        env = {
            "PATH": os.environ["PATH"],
            "COUNTERSIGN_VAR": str(folder / "var"),
            "PORT": str(port),
            "SANDBOX_PORT_BASE": sandbox.addresses["payments"].rsplit(":", 1)[1],
            "RECORDS_URL": sandbox.records_url,
            "SWEEP_SECONDS": "1",
        }
        told = subprocess.run(
            [sys.executable, "-m", "tests.agents.furnish", *agents],
            cwd=ROOT,
            env=env,
            check=True,
            capture_output=True,
            text=True,
        )
        keys = json.loads(told.stdout)
        up = [sys.executable, "manage.py", "up"]
        program = Program(up, env=env, log=folder / "up.log", inherit=False)
        try:
            program.says("Countersign is up")
            installation = Installation(f"http://127.0.0.1:{port}", keys, sandbox)
            yield installation
            installation.close()
        finally:
            os.kill(program.pid, signal.SIGTERM)
            try:
                program.ends(seconds=45)
            finally:
                program.kill()
