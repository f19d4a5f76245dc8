"""`python -m tests.upgrades.make NAME`: keeps a database as the present code makes it.

With `--checkout FOLDER` it is the code there that makes it. Run it before a change of migrations
or of the policy's grammar and commit the three files: `NAME.sqlite.sql.gz`, `NAME.postgres.sql.gz`
and `NAME.json` with what a test needs to go on with them. Nothing in them is anybody's secret.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg

from approvals.demo.client import AgentClient, PersonClient
from tests import servers
from tests.faults.processes import free_block, free_port, until

KEPT = Path(__file__).resolve().parent
ROOT = KEPT.parents[1]
KEYS = {
    "SECRET_KEY": "the kept databases sign nothing anywhere else",
    "AUDIT_KEY": "the kept databases chain nothing anywhere else",
}
_INSTALL = (
    "from audit.actors import Actor; from policies.services.versions import install_default; "
    "install_default(actor=Actor.system('up'))"
)


def main(arguments: list[str]) -> int:
    """Make the database twice, once on each engine, and write both down."""
    asked = argparse.ArgumentParser(prog="python -m tests.upgrades.make")
    asked.add_argument("name", help="such as 2026-11-21")
    asked.add_argument("--checkout", type=Path, default=ROOT, help="the code that makes it")
    given = asked.parse_args(arguments)
    kept: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="countersign-upgrade-") as folder:
        file = Path(folder) / "kept.sqlite3"
        kept["sqlite"] = _play(given.checkout, Path(folder), f"sqlite:///{file}")
        _write(KEPT / f"{given.name}.sqlite.sql.gz", _sqlite_text(file))
    with servers.postgres() as (address, _), tempfile.TemporaryDirectory() as folder:
        server, _, _ = address.rpartition("/")
        with own_database(server) as url:
            kept["postgres"] = _play(given.checkout, Path(folder), url)
            _write(KEPT / f"{given.name}.postgres.sql.gz", _postgres_text(url))
    (KEPT / f"{given.name}.json").write_text(json.dumps(kept, indent=2) + "\n")
    return 0


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """A new, empty PostgreSQL database that is gone afterwards."""
    name = f"countersign_upgrade_{os.getpid()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as root:
        root.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        root.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        try:
            yield f"{server}/{name}"
        finally:
            root.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _play(checkout: Path, folder: Path, database_url: str) -> dict[str, str]:
    """Let that code make a database with work in flight; returns what to go on with."""
    port, sandbox = free_port(), free_block()
    environment = {
        **{n: v for n, v in os.environ.items() if n != "DJANGO_SETTINGS_MODULE"},
        **KEYS,
        "DEBUG": "0",
        "DEMO": "1",
        "DATABASE_URL": database_url,
        "COUNTERSIGN_VAR": str(folder / "var"),
        "PORT": str(port),
        "SANDBOX_PORT_BASE": str(sandbox),
        "RECORDS_URL": f"sqlite:///{folder / 'records.sqlite3'}",
        "EMAIL_URL": "memory://",
        "LOG_LEVEL": "WARNING",
    }
    (folder / "var" / "static").mkdir(parents=True)

    def manage(*words: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *words], cwd=checkout, env=environment, check=True
        )

    manage("migrate", "--verbosity=0")
    manage("sync_roles")
    manage("shell", "--verbosity=0", "-c", _INSTALL)
    manage("load_demo")
    outside = ("connectors.sandbox", "--data", str(folder / "sandbox"), "--port-base", str(sandbox),
               "--records-url", environment["RECORDS_URL"])  # fmt: skip
    web = ("gunicorn", "-c", "python:config.web_server", "config.wsgi")
    with _running(checkout, environment, outside), _running(checkout, environment, web):
        effects = f"http://127.0.0.1:{sandbox}/_effects"
        until("the sandbox", lambda: _answers(effects), seconds=60)
        until("the web server", lambda: _answers(f"http://127.0.0.1:{port}/readyz"), seconds=60)
        made = _requests(f"http://127.0.0.1:{port}", folder / "var" / "demo.json", manage)
    made["at"] = datetime.now(UTC).isoformat(timespec="seconds")
    return made


def _requests(base_url: str, demo: Path, manage: Any) -> dict[str, str]:
    """One request that has gone all its way, and three that are on it."""
    agents = {agent["name"]: agent["key"] for agent in json.loads(demo.read_text())["agents"]}
    agent = AgentClient(base_url, agents["refund-bot"])
    fiona = PersonClient(base_url, "fiona", "countersign-demo")

    def propose(charge: str, amount: str) -> str:
        params = {"charge": charge, "amount": amount, "currency": "EUR", "reason": "damaged"}
        body = {"action_type": "refund.issue", "params": params, "intent": "A photo was sent."}
        return str(agent.propose(body, key=f"kept-{charge}")["id"])

    done = propose("ch_1005", "30.00")

    def is_verified() -> bool:
        manage("sweep")
        return agent.get(done)["state"] in {"verified", "audited"}

    until("the first one to be verified", is_verified, seconds=120)
    allowed = propose("ch_1002", "20.00")
    approved = propose("ch_1001", "300.00")  # the one charge large enough
    fiona.decide(approved, "approve", {"reason_code": "as_proposed", "comment": "photo seen"})
    pending = propose("ch_1004", "310.00")
    states = {key: agent.get(key)["state"] for key in (allowed, approved, pending)}
    if list(states.values()) != ["approved", "approved", "pending_approval"]:
        raise SystemExit(f"The work is not in flight as it should be: {states}")
    return {
        "key": agents["refund-bot"],
        "done": done,
        "allowed": allowed,
        "approved": approved,
        "pending": pending,
    }


@contextmanager
def _running(checkout: Path, environment: dict[str, str], words: tuple[str, ...]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", *words], cwd=checkout, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(address, trust_env=False).status_code == 200
    return False


def _sqlite_text(file: Path) -> str:
    database = sqlite3.connect(file)
    try:
        return "\n".join(database.iterdump()) + "\n"
    finally:
        database.close()


def _postgres_text(url: str) -> str:
    """As plain statements, so that no program is needed to read them back."""
    program = shutil.which("pg_dump") or "pg_dump"
    done = subprocess.run(
        [program, "--no-owner", "--no-privileges", "--rows-per-insert=500", url],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return re.sub(r"(?m)^\\(?:un)?restrict .*\n", "", done.stdout)  # psql's own commands


def _write(file: Path, text: str) -> None:
    """The same text gives the same bytes."""
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
