"""PostgreSQL and Redis for a test run: those we are pointed at, or private ones of our own.

Private servers live on free ports in a temporary folder and keep nothing; they are faster than
an installed one, because nothing in them has to survive a power cut.
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from tests import programs

_START_SECONDS = 30.0


class NoServer(Exception):
    """There is none, and why."""


@contextmanager
def postgres() -> Iterator[tuple[str, str]]:
    """A `postgresql://` address on which databases may be created, and where it comes from."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given, "TEST_DATABASE_URL"
        return
    folder = programs.postgres_folder()
    if folder is None:
        if local := _local_postgres():
            yield local, "the server on 127.0.0.1:5432"
            return
        raise NoServer(
            "no TEST_DATABASE_URL, no initdb program, nobody to talk to on 127.0.0.1:5432"
        )
    with temporary_folder() as (home, account):
        yield from _private_postgres(folder, home, account)


@contextmanager
def redis_server() -> Iterator[tuple[str, str]]:
    """A `redis://` address without database number, and where it comes from.

    Never the server that may run on 6379: tests empty databases, and those are not ours.
    """
    if given := os.environ.get("TEST_REDIS_URL"):
        yield given, "TEST_REDIS_URL"
        return
    program = programs.redis_server()
    if program is None:
        raise NoServer("no TEST_REDIS_URL and no redis-server program")
    port = free_port()
    with temporary_folder() as (home, account):
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                   "--appendonly", "no", "--databases", "64", "--dir", str(home)]  # fmt: skip
        with running(command, home / "log", account):
            client = redis.Redis(port=port)
            wait_until(lambda: bool(client.ping()), redis.ConnectionError, home / "log")
            client.close()
            yield f"redis://127.0.0.1:{port}", f"a private server ({program})"


def _local_postgres() -> str | None:
    """The server on the usual port, if it lets us in as somebody who may do everything.

    Everything, because tests play the tamperer who gets past triggers.
    """
    for user in dict.fromkeys((getpass.getuser(), "postgres")):
        address = f"postgresql://{user}@127.0.0.1:5432/postgres"
        with suppress(psycopg.OperationalError), psycopg.connect(address, connect_timeout=2) as db:
            row = db.execute("SHOW is_superuser").fetchone()
            if row is not None and row[0] == "on":
                # a name of this run's own: two runs on one server do not meet
                return f"postgresql://{user}@127.0.0.1:5432/countersign_{os.getpid()}"
    return None


def _private_postgres(
    folder: Path, home: Path, account: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    data, port = home / "data", free_port()
    subprocess.run(
        [folder / "initdb", "-D", data, "--username=countersign", "--auth=trust",
         "--encoding=UTF8", "--no-locale", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd=home, **account,
    )  # fmt: skip
    settings = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": home,
        "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
        "wal_level": "minimal", "max_wal_senders": 0,
        "max_connections": 300,
    }  # fmt: skip
    command = [str(folder / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with running(command, home / "log", account):
        address = f"postgresql://countersign@127.0.0.1:{port}/postgres"
        wait_until(lambda: _answers(address), psycopg.OperationalError, home / "log")
        yield (
            f"postgresql://countersign@127.0.0.1:{port}/countersign",
            f"a private server ({folder})",
        )


def _answers(address: str) -> bool:
    psycopg.connect(address, connect_timeout=2).close()
    return True


@contextmanager
def temporary_folder() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder, and whom to run as: PostgreSQL refuses root, so root lends it to somebody."""
    home = Path(tempfile.mkdtemp(prefix="countersign-server-"))
    account: dict[str, Any] = {}
    try:
        if os.getuid() == 0:
            known = {entry.pw_name: entry for entry in pwd.getpwall()}
            entry = known.get("postgres") or known["nobody"]
            os.chown(home, entry.pw_uid, entry.pw_gid)
            account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        yield home, account
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running(command: list[str], log: Path, account: dict[str, Any]) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=log.parent, start_new_session=True, **account
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(claim: Callable[[], bool], refusal: type[Exception], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(refusal):
            if claim():
                return
        if time.monotonic() > deadline:
            raise NoServer(f"it did not start: {log.read_text()[-500:]}")
        time.sleep(0.1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
