"""One company's tables on SQLite, PostgreSQL and MariaDB, each furnished as new for each test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pymysql
from pytest_django.fixtures import Settings
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url

from tests import programs
from tests.peers.peer import Case
from tests.peers.proxy import Proxy, losing_answers
from tests.servers import NoServer, free_port, postgres, running, temporary_folder, wait_until

FOLDER = str(Path(__file__).parent / "systems")
PASSWORD = "database-password-0123"
_TABLES = (
    "CREATE TABLE customers (number VARCHAR(20) PRIMARY KEY, company VARCHAR(80), "
    "country VARCHAR(2), status VARCHAR(20), credit_limit INTEGER, row_version INTEGER)",
    "CREATE TABLE suppliers (number VARCHAR(20) PRIMARY KEY, company VARCHAR(80), "
    "status VARCHAR(20))",
)
_ROWS = (
    "DELETE FROM customers",
    "DELETE FROM suppliers",
    "DELETE FROM applied_changes",
    "INSERT INTO customers VALUES ('K-1001', 'Papierwerk Kollnau', 'DE', 'active', 50000, 7)",
    "INSERT INTO suppliers VALUES ('L-1', 'Atelier Lumière', 'active')",
)


@contextmanager
def mariadb() -> Iterator[str]:
    """The address of a private server, for its administrator."""
    found = programs.mariadb()
    if found is None:
        raise NoServer("needs mariadbd and mariadb-install-db (the package mariadb-server)")
    server, install = found
    port = free_port()
    with temporary_folder() as (home, account):
        data = f"--datadir={home / 'data'}"
        made = [install, "--no-defaults", data, "--auth-root-authentication-method=normal",
                "--skip-test-db"]  # fmt: skip
        subprocess.run(made, check=True, capture_output=True, cwd=home, **account)
        command = [server, "--no-defaults", data, f"--port={port}", "--bind-address=127.0.0.1",
                   f"--socket={home / 'socket'}", "--innodb-flush-log-at-trx-commit=0",
                   "--character-set-server=utf8mb4"]  # fmt: skip
        with running(command, home / "log", account):
            address = {"host": "127.0.0.1", "port": port, "user": "root", "password": ""}
            wait_until(lambda: _answers(address), pymysql.err.OperationalError, home / "log")
            with pymysql.connect(**address, autocommit=True) as admin, admin.cursor() as cursor:
                cursor.execute("CREATE DATABASE erp")
                cursor.execute(f"CREATE USER agent@'%' IDENTIFIED BY '{PASSWORD}'")
                cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON erp.* TO agent@'%'")
            url = f"mariadb://agent:{PASSWORD}@127.0.0.1:{port}/erp"
            _create(url)
            yield url


def _answers(address: dict[str, str | int]) -> bool:
    pymysql.connect(**address).close()  # type: ignore[arg-type]
    return True


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a database of our own on the tests' server, or on a private one."""
    with postgres() as (server, _):
        name = f"erp_{uuid4().hex[:12]}"
        admin = server.rpartition("/")[0] + "/postgres"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
            connection.execute(f"ALTER DATABASE {name} OWNER TO {name}")
            try:
                parts = make_url(server)
                url = f"postgresql://{name}:{PASSWORD}@{parts.host}:{parts.port or 5432}/{name}"
                _create(url)
                yield url
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
                connection.execute(f"DROP ROLE {name}")


@contextmanager
def sqlite() -> Iterator[str]:
    with temporary_folder() as (home, _):
        url = f"sqlite:///{home / 'erp.sqlite3'}"
        _create(url)
        yield url


def _create(url: str) -> None:
    from connectors.adapters.records.client import APPLIED_CHANGES

    with _engine(url).begin() as connection:
        for statement in _TABLES:
            connection.execute(text(statement))
        APPLIED_CHANGES.create(connection)


def _engine(url: str):  # type: ignore[no-untyped-def]
    from connectors.adapters.records.client import with_driver

    return create_engine(with_driver(make_url(url)), poolclass=NullPool)


@dataclass
class Database:
    """The company's tables, as new."""

    url: str
    settings: Settings
    system: str = "erp"
    secret: str = "wrong-password-9876543210"

    def __post_init__(self) -> None:
        self.run(*_ROWS)
        self.configure()

    @property
    def is_file(self) -> bool:
        return self.url.startswith("sqlite")

    def configure(self, **values: str) -> None:
        address = self.url.replace(f":{PASSWORD}@", "@")
        config = {"base_url": address, "token": "" if self.is_file else PASSWORD, **values}
        self.settings.SYSTEMS_PATH = (FOLDER,)
        self.settings.CONNECTORS = {**self.settings.CONNECTORS, self.system: config}

    def wrong_credential(self) -> None:
        if self.is_file:  # what keeps a file closed is the operating system
            self.configure(base_url=f"sqlite:////nowhere/{self.secret}.sqlite3")
        else:
            # a private PostgreSQL trusts whoever names a role it has, so this is none
            parts = make_url(self.url)
            address = f"{parts.drivername}://stranger@{parts.host}:{parts.port}/erp"
            self.configure(base_url=address, token=self.secret)

    @contextmanager
    def losing(self, case: Case, loss: str) -> Iterator[Proxy]:
        parts = make_url(self.url)
        target = (str(parts.host), int(parts.port or 5432))
        # PyMySQL begins by sending SET AUTOCOMMIT; a query of its own begins with 3
        marker = b"\x03COMMIT" if "mariadb" in self.url else b"COMMIT"
        with losing_answers(target, marker, loss) as proxy:
            through = self.url.replace(f":{PASSWORD}@", "@")
            self.configure(base_url=through.replace(f":{target[1]}/", f":{proxy.port}/"))
            yield proxy
            self.configure()

    def run(self, *statements: str) -> None:
        with _engine(self.url).begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def one(self, query: str) -> object:
        with _engine(self.url).begin() as connection:
            return connection.execute(text(query)).scalar_one()


def _customer(peer: Database) -> dict[str, object]:
    return {"record": "K-1001", "fields": {"status": "blocked", "credit_limit": 0}}


def _supplier(peer: Database) -> dict[str, object]:
    return {"record": "L-1", "fields": {"status": "blocked"}}


def _touch_customer(peer: Database) -> None:
    peer.run("UPDATE customers SET row_version = row_version + 1")


def _touch_supplier(peer: Database) -> None:
    peer.run("UPDATE suppliers SET status = 'paused'")


def _cases(peer: str) -> tuple[Case, Case]:
    return (
        Case(
            peer,
            "erp_customer.update",
            _customer,
            is_done=lambda it: it.one("SELECT status FROM customers") == "blocked",
            names=("Papierwerk Kollnau", "DE"),
            move=_touch_customer,
            undone_by="erp_customer.update",
        ),
        Case(
            peer,
            "erp_supplier.update",
            _supplier,
            is_done=lambda it: it.one("SELECT status FROM suppliers") == "blocked",
            names=("Atelier Lumière",),
            move=_touch_supplier,
            undone_by="erp_supplier.update",
        ),
    )


CASES = (*_cases("erp_on_sqlite"), *_cases("erp_on_postgresql"), *_cases("erp_on_mariadb"))
