"""What a proposal costs over HTTP, beside pgbench writing the very rows it leaves.

Run it by hand against a database whose name you choose; it is created by the tests' machinery
and dropped again:

    DEBUG=1 DATABASE_URL=postgres://... python -m tests.bench.intake --seconds 5

PostgreSQL's own pgbench sends the INSERTs of one recorded proposal again and again with new ids:
one transaction each, nothing read, nothing decided. Arms alternate, so that a busy machine slows
both; one client each. Read the ratios, not the absolute numbers.

The target answers at once: what its reading takes is not ours.

On 2026-11-22, two cores with a disk so slow that pgbench came to 112 to 207 transactions a second:
0.112 where policy allows, 0.103 where people decide, with 21 statements of which 10 write. The
sooner the disk, the more of it is our own time: before the ORM's compiling was spared, with the
sandbox read in the same process, 0.066 and 0.059 beside an idle disk, and 0.076 and 0.070 after it
beside this one. Later that day, with 13 statements (5 write, several tables in one) and pgbench at
403 transactions a second: 0.127 where policy allows, 0.074 where people decide.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from uuid import UUID

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
django.setup()

import psycopg  # noqa: E402
from django.db import connection, connections  # noqa: E402 - needs the settings
from django.test.utils import get_runner  # noqa: E402
from uuid6 import uuid7  # noqa: E402

from connectors.base import Action, Preview, SystemEvidence  # noqa: E402
from tests.api.make import AgentClient, a_proposal, make_house_with_key  # noqa: E402
from tests.approvals.make import refund  # noqa: E402

ROUNDS = 5
KINDS = {"policy allows": "1.00", "people decide": "900.00"}

Statement = tuple[str, Any]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=5.0)
    chosen = options.parse_args()
    if connection.vendor != "postgresql":
        raise SystemExit("DATABASE_URL must name a PostgreSQL database.")
    settings.DEBUG = False  # or every statement is kept in memory
    settings.ALLOWED_HOSTS = ["*"]
    runner = get_runner(settings)(verbosity=0, interactive=False)
    old = runner.setup_databases()
    try:
        settings.CONNECTORS = {"payments": {"url": "http://127.0.0.1"}}
        unlimited = patch(
            "approvals.api.authentication.AgentThrottle.rate", "9999999/min", create=True
        )
        with unlimited, patch("connectors.registry._built", lambda system, config: Payments()):
            client = AgentClient(make_house_with_key())
            for kind, amount in KINDS.items():
                compare(kind, client, amount, chosen.seconds)
    finally:
        connections.close_all()
        runner.teardown_databases(old)


def say(line: str) -> None:
    print("  " + line, flush=True)  # noqa: T201 - a script's output


def compare(kind: str, client: AgentClient, amount: str, seconds: float) -> None:
    """Both arms in turns; the median of their ratios."""

    def propose() -> str:
        answer = client.propose(
            a_proposal(refund(f"ch_{uuid7().hex}", amount)), key=f"bench-{uuid7()}"
        )
        assert answer.status_code == 201, answer.content
        return str(answer.json()["id"])

    propose()  # whatever is looked up once a process
    recorded = _Recorded()
    with connection.execute_wrapper(recorded):
        born = UUID(propose())
    asked = len(recorded.all)
    script = _script(recorded.writes, born)
    ratios = []
    for _ in range(ROUNDS):
        whole = _rate(propose, seconds)
        bare = _pgbench(script, seconds)
        ratios.append(whole / bare)
    say(
        f"{kind}: {asked} statements, {len(recorded.writes)} of them write; "
        f"{whole:,.0f}/s against {bare:,.0f}/s of pgbench: {statistics.median(ratios):.3f}"
    )


class _Recorded:
    """The statements of one proposal."""

    def __init__(self) -> None:
        self.all: list[Statement] = []

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        self.all.append((sql, params))
        return execute(sql, params, many, context)

    @property
    def writes(self) -> list[Statement]:
        """What leaves rows of its own; counters are there already."""
        return [
            (sql, params)
            for sql, params in self.all
            if "INSERT INTO" in sql and "velocitycounter" not in sql
        ]


def _script(writes: list[Statement], born: UUID) -> str:
    """The recorded rows for pgbench, each time for a request with an id and a key of its own."""
    cursor = psycopg.ClientCursor(connection.connection)
    lines = [cursor.mogrify(sql, params).replace("\n", " ") for sql, params in writes]
    text = ";\n".join(lines).replace(str(born), ":own").replace(born.hex, ":own")
    text = re.sub(r"bench-[-0-9a-f]{36}", "bench-:own", text)
    text = re.sub(  # keys that were drawn before their rows
        r'(INSERT INTO "(approvals_policydecision|approvals_grant)" \("id", [^)]*\) VALUES \()\d+',
        r"\1nextval(pg_get_serial_sequence('\2', 'id'))",
        text,
    )
    return f"SELECT gen_random_uuid() AS own \\gset\nBEGIN;\n{text};\nCOMMIT;\n"


def _pgbench(script: str, seconds: float) -> float:
    """Transactions a second."""
    made = connection.get_connection_params()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = ["pgbench", "--no-vacuum", "--file", file.name, "--time", str(round(seconds))]
        command += ["--host", made["host"], "--port", str(made["port"]), "--username", made["user"]]
        ran = subprocess.run(
            [*command, made["dbname"]],
            capture_output=True,
            text=True,
            env=os.environ | {"PGPASSWORD": made.get("password", "")},
            check=True,
        )
    said = re.search(r"tps = ([0-9.]+)", ran.stdout)
    if said is None or "0 (0.000%)" not in ran.stdout:
        raise SystemExit(f"pgbench could not write the rows:\n{ran.stdout}{ran.stderr}")
    return float(said[1])


def _rate(work: Callable[[], object], seconds: float) -> float:
    """How often a second."""
    began, done = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        work()
        done += 1
    return done / took


class Payments:
    """A payment system that knows every charge and answers at once: what it costs is not ours."""

    system = "payments"

    def preview(self, action: Action) -> Preview:
        charge = str(action.params["charge"])
        return Preview(
            before={"refunded": "0.00 EUR", "refundable": "1,000.00 EUR"},
            after={"refunded": str(action.params["amount"])},
            target_version="1",
            evidence=(SystemEvidence("charge", f"Charge {charge}", {"id": charge}),),
            facts={"customer.id": f"cus_{charge}", "customer.known": True},
        )


if __name__ == "__main__":
    main()
