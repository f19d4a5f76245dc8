"""Servers, workers and outside systems of a soak's own, all of them processes to be killed."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import psycopg

from connectors.declared.files import PRODUCT
from connectors.sandbox.store import Store
from tests.database import APPLICATION, OWNER, as_application
from tests.faults.broker import Broker
from tests.faults.cluster import Cluster
from tests.faults.processes import ROOT, Program, free_port, until
from tests.faults.soak.peers import file_of
from tests.vendors.catalogue import VENDORS

SANDBOX = ("payments", "email", "directory", "changes", "logistics")
_SECRETS = {
    "SECRET_KEY": "a key for the soak that signs nothing anywhere else",
    "AUDIT_KEY": "another key for the soak that proves nothing anywhere else",
    "CREDENTIALS_KEY": "a third key for the soak that hides nothing anywhere else",
}
_SANDBOX_PORTS = 6
TIMEOUT, TIME_LIMIT, LEASE = 4, 15, 18
"""Seconds."""


@dataclass
class Stack:
    """What the soak breaks. `env` is what its processes are started with."""

    folder: Path
    cluster: Cluster | None
    broker: Broker | None
    env: dict[str, str]
    ports: Mapping[str, int]
    sandbox_port: int
    processes: int
    workers: list[Program] = field(default_factory=list)
    beat: Program | None = None
    sandbox: Program | None = None
    vendors: Program | None = None
    _started: int = 0

    # --- programs ------------------------------------------------------------------------------

    def start(self, *command: str, name: str) -> Program:
        """One of our programs; its log has a number, the process has a group of its own."""
        self._started += 1
        log = self.folder / f"{self._started:04}-{name}.log"
        return Program([sys.executable, *command], env=self.env, log=log)

    def start_worker(self) -> Program:
        return self.start(
            *("-m", "celery", "-A", "config", "worker", "--pool", "prefork"),
            *("--concurrency", "2", "--hostname", f"w{self._started}@soak"),
            *("--without-mingle", "--without-gossip", "--loglevel", "WARNING"),
            name="worker",
        )

    def start_beat(self) -> None:
        self.beat = self.start("-m", "celery", "-A", "config", "beat", name="beat")

    def start_sandbox(self) -> None:
        data = str(self.folder / "outside")
        self.sandbox = self.start(
            *("-m", "connectors.sandbox", "--data", data),
            *("--port-base", str(self.sandbox_port), "--records-url", self.env["RECORDS_URL"]),
            name="sandbox",
        )

    def start_vendors(self) -> None:
        at = [f"{name}={port}" for name, port in self.ports.items()]
        self.vendors = self.start(
            "-m", "tests.faults.soak.peers", str(self.folder / "vendors"), *at, name="vendors"
        )

    def keep_running(self) -> None:
        """Start anew what has ended, as a supervisor would."""
        while len(self.workers) < self.processes:
            self.workers.append(self.start_worker())
        self.workers = [one if one.is_running else self.start_worker() for one in self.workers]
        for program, start in (
            (self.beat, self.start_beat),
            (self.sandbox, self.start_sandbox),
            (self.vendors, self.start_vendors),
        ):
            if program is None or not program.is_running:
                start()

    def wait_for_peers(self) -> None:
        for port in self.http_ports.values():
            until("the outside systems answer", partial(_answers, port), seconds=180)

    def end(self) -> None:
        for program in (*self.workers, self.beat, self.sandbox, self.vendors):
            if program is not None:
                program.kill()

    # --- the outside -----------------------------------------------------------------------------

    @property
    def http_ports(self) -> dict[str, int]:
        """Where faults of each system are planned."""
        offsets = {"payments": 0, "email": 2, "directory": 3, "changes": 4, "logistics": 5}
        return {
            **{name: self.sandbox_port + offset for name, offset in offsets.items()},
            **self.ports,
        }

    def stores(self) -> dict[str, Store]:
        """The files of the outside systems: what each really did."""
        of_sandbox = Store(self.folder / "outside" / "sandbox.sqlite3")
        return {
            **dict.fromkeys(SANDBOX, of_sandbox),
            **{name: Store(file_of(self.folder / "vendors", name)) for name in self.ports},
        }

    def plan_fault(self, system: str, **fault: object) -> None:
        with suppress(httpx.TransportError):  # killed a moment ago: a fault of its own
            url = f"http://127.0.0.1:{self.http_ports[system]}/_faults"
            httpx.post(url, json=fault, timeout=5)

    def no_more_faults(self) -> None:
        for port in self.http_ports.values():
            with suppress(httpx.TransportError):  # a killed one forgets them
                httpx.delete(f"http://127.0.0.1:{port}/_faults", timeout=5)

    def kill_child(self, dice: random.Random) -> bool:
        """Kill one process of a worker's pool; whether there was one."""
        worker = dice.choice(self.workers)
        with suppress(ProcessLookupError, FileNotFoundError):
            if children := worker.children:
                os.kill(dice.choice(children), signal.SIGKILL)
                return True
        return False


@contextmanager
def running(folder: Path, *, embedded: bool) -> Iterator[Stack]:
    """Everything below the product, migrated and hardened; the programs are not started yet."""
    cluster, broker = None, None
    try:
        if not embedded:
            cluster, broker = Cluster.in_temporary_folder(), Broker(folder / "redis")
        stack = _prepared(folder, cluster, broker)
        try:
            yield stack
        finally:
            stack.end()
    finally:
        if broker is not None:
            broker.kill()
        if cluster is not None:
            cluster.remove()


def _prepared(folder: Path, cluster: Cluster | None, broker: Broker | None) -> Stack:
    for name in ("outside", "vendors", "systems", "var/static"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # NetSuite has a credit memo too, and an installation has one action type of a name
    ours = (PRODUCT / "quickbooks.yaml").read_text()
    renamed = ours.replace("\n  credit_memo.issue:", "\n  sales_credit.issue:")
    (folder / "systems" / "quickbooks.yaml").write_text(renamed)
    first = _free_from(len(VENDORS) + _SANDBOX_PORTS)
    sandbox_port = first + len(VENDORS)
    ports = {name: first + n for n, name in enumerate(VENDORS)}
    records = f"sqlite:///{folder / 'outside' / 'records.sqlite3'}"
    if cluster is not None:
        records = cluster.url.rpartition("/")[0] + "/records"
    env = {
        **_SECRETS,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": f"sqlite:///{folder / 'var' / 'db.sqlite3'}",
        "BROKER_URL": broker.url if broker else "filesystem://",
        "COUNTERSIGN_VAR": str(folder / "var"),
        "RECORDS_URL": records,
        "SANDBOX_PORT_BASE": str(sandbox_port),
        "PORT": str(free_port()),
        "DEMO": "1",
        "DEBUG": "0",
        "EMAIL_URL": "console://",
        "LOG_LEVEL": "WARNING",
        "CONNECTOR_TIMEOUT_SECONDS": str(TIMEOUT),
        "EXECUTION_LEASE_SECONDS": str(LEASE),
        "TASK_TIME_LIMIT_SECONDS": str(TIME_LIMIT),
        "SWEEP_SECONDS": "2",
        "SYSTEMS_PATH": str(folder / "systems"),
        "TRUSTED_RELAYS": ",".join(f"127.0.0.1:{port}" for port in ports.values()),
        **{f"{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items()},
        **{f"{name.upper()}_TOKEN": _credential(name) for name in ports},
    }
    if cluster is not None:
        _make_database(cluster, "records")
        env["DATABASE_URL"] = cluster.url
    _manage(env, "migrate", "--verbosity=0")
    if cluster is not None:
        owner = {**env, "DATABASE_OWNER_URL": cluster.url}
        _manage(owner, "harden_database", "--execute", "--owner", OWNER,
                "--application", APPLICATION)  # fmt: skip
        env["DATABASE_URL"] = as_application(cluster.url)
    return Stack(folder, cluster, broker, env, ports, sandbox_port, 2 if cluster else 1)


def _free_from(size: int) -> int:
    """The first of so many ports that are free together and never an outgoing connection's.

    What listens there is killed and must get its port back.
    """
    while True:
        first = random.randrange(15_000, 32_000)  # noqa: S311 - Linux takes its own from 32,768 on
        with ExitStack() as listeners, suppress(OSError):
            for port in range(first, first + size):
                listeners.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


def _credential(vendor: str) -> str:
    """What the double takes; for those that give tokens, who we are to them."""
    authentication = VENDORS[vendor].file.card.authentication
    if not authentication.scheme.has_tokens:
        return VENDORS[vendor].double.credential
    secret = "private_key" if authentication.algorithm else "client_secret"
    return f'{{"client_id": "soak-0123456789", "{secret}": "soak-0123456789"}}'


def _manage(env: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def _make_database(cluster: Cluster, name: str) -> None:
    with psycopg.connect(cluster.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/_health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
