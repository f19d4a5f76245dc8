"""The whole product as it runs in production, on servers of its own that may be broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from tests.database import APPLICATION, OWNER, as_application
from tests.faults.broker import Broker
from tests.faults.cluster import Cluster
from tests.faults.processes import ROOT, Program, free_block, free_port, until

SECRETS = {
    "SECRET_KEY": "a key for the chaos run that signs nothing anywhere else",
    "AUDIT_KEY": "another key for the chaos run that proves nothing anywhere else",
}


@dataclass
class Stack:
    """`manage.py up --demo` without its scripted agents, and the servers below it."""

    folder: Path
    cluster: Cluster
    broker: Broker
    supervisor: Program
    env: dict[str, str]

    @property
    def database_url(self) -> str:
        return self.env["DATABASE_URL"]

    @property
    def demo(self) -> dict[str, Any]:
        """Addresses, accounts and keys, as the product wrote them down for scripts."""
        found: dict[str, Any] = json.loads((self.folder / "var" / "demo.json").read_text())
        return found

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.env['SANDBOX_PORT_BASE']}"

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Ask the database past the product."""
        with psycopg.connect(self.database_url, row_factory=dict_row, autocommit=True) as db:
            return db.execute(sql, values).fetchall()  # type: ignore[arg-type]

    def effects(self) -> list[dict[str, Any]]:
        """Everything that really happened in the outside systems, by their own account."""
        answer = httpx.get(f"{self.sandbox_url}/_effects", params={"system": "all"}, timeout=30)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found

    def processes(self, words: str) -> list[int]:
        """The processes below the supervisor whose command line holds the words."""
        return [pid for pid in _descendants(self.supervisor.pid) if words in _command(pid)]

    def manage(self, *arguments: str) -> Program:
        """Run one of the product's own commands beside it."""
        return Program(
            [sys.executable, "manage.py", *arguments],
            env=self.env,
            log=self.folder / f"{arguments[0]}.log",
        )


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """Start servers and product, wait until it is ready, and stop all of it in the end."""
    cluster = Cluster.in_temporary_folder()
    broker = Broker(folder / "redis")
    try:
        yield from _product(folder, cluster, broker)
    finally:
        broker.kill()
        cluster.remove()


def _product(folder: Path, cluster: Cluster, broker: Broker) -> Iterator[Stack]:
    port, sandbox = free_port(), free_block()
    env = {
        **SECRETS,
        "DATABASE_URL": as_application(cluster.url),
        "BROKER_URL": broker.url,
        "COUNTERSIGN_VAR": str(folder / "var"),
        "RECORDS_URL": f"sqlite:///{folder / 'var' / 'records.sqlite3'}",
        "PORT": str(port),
        "SANDBOX_PORT_BASE": str(sandbox),
        "DEMO": "1",
        "DEBUG": "0",
        "DEMO_AGENT": "0",
        "EMAIL_URL": "console://",
        "LOG_LEVEL": "WARNING",
    }
    (folder / "var").mkdir(parents=True, exist_ok=True)
    for prepare in (
        ["migrate", "--verbosity=0"],
        ["harden_database", "--execute", "--owner", OWNER, "--application", APPLICATION],
    ):
        subprocess.run(
            [sys.executable, "manage.py", *prepare],
            cwd=ROOT, env={**os.environ, **env, "DATABASE_OWNER_URL": cluster.url}, check=True,
        )  # fmt: skip
    command = [sys.executable, "manage.py", "up", "--demo"]
    supervisor = Program(command, env=env, log=folder / "up.log")
    try:
        supervisor.says("Countersign is up", seconds=120)
        yield Stack(folder, cluster, broker, supervisor, env)
    finally:
        if supervisor.is_running:
            os.kill(supervisor.pid, signal.SIGTERM)
            until("the product has stopped", lambda: not supervisor.is_running, seconds=90)


def _descendants(pid: int) -> list[int]:
    """Every process below this one, parents first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:  # it ended while we looked
        return []
    return [found for child in children for found in (int(child), *_descendants(int(child)))]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""
