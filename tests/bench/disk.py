"""How many bytes an action takes, pending and finished, beside a bare record of the same action.

Run it by hand; it starts a PostgreSQL of its own:

    python -m tests.bench.disk

The bare record is one row with what was asked for and where it stands (the request's columns and
its content), with a primary key and the agent's key unique: what somebody would store who wanted
neither history nor trail. Sizes are of tables, TOAST and indexes after VACUUM FULL. The log (WAL)
is without images of full pages, which depend on checkpoints alone.

On 2026-11-22, for 100 refunds that one manager approves: 12.1 kB pending (8.3 times the bare
record, which is 1.5 kB), 26.1 kB finished (17.9 times); 23 kB and 63 kB of log. Of what is finished
the trail takes 9.2 kB (4.2 kB are its indexes), policy decisions 6.0 kB, table history 4.5 kB. With
so few, sizes are rounded up to pages of 82 bytes an action.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.servers import postgres

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "ERROR")
os.environ["DEBUG"] = "1"

SHOWN = 14
"""So many tables are listed, the largest first."""

Sizes = dict[str, tuple[int, int]]
"""Bytes of each table's rows, with TOAST, and of its indexes."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--actions", type=int, default=200)
    chosen = options.parse_args()
    if "DATABASE_URL" not in os.environ:
        with postgres() as (url, _):
            command = [sys.executable, "-m", "tests.bench.disk", *sys.argv[1:]]
            raise SystemExit(subprocess.call(command, env={**os.environ, "DATABASE_URL": url}))
    import django

    django.setup()
    from django.conf import settings
    from django.db import connections
    from django.test.utils import get_runner

    from connectors.sandbox.server import Sandbox

    runner = get_runner(settings)(verbosity=0, interactive=False)
    old = runner.setup_databases()
    try:
        with tempfile.TemporaryDirectory() as name, Sandbox(Path(name)) as sandbox:
            settings.CONNECTORS = sandbox.connectors
            settings.NEWEST_EVENT_FILE = f"{name}/newest-event.json"
            _measure(sandbox, chosen.actions)
    finally:
        connections.close_all()
        runner.teardown_databases(old)


def say(line: str) -> None:
    print("  " + line, flush=True)  # noqa: T201 - a script's output


def _measure(sandbox: Any, number: int) -> None:
    from approvals.models import ActionRequest
    from approvals.services.execute import execute
    from approvals.services.intake import finish_intake
    from tests.approvals.make import approve, make_cast, make_request, refund

    cast = make_cast()

    def propose(charge: int) -> ActionRequest:
        made = make_request(cast.agent, refund(_charge(sandbox, charge), "600.00"))
        finish_intake(made.pk)  # where a busy machine read the target too late for who proposed
        return made

    warm = propose(0)
    approve(warm, cast.mona)
    execute(warm.pk)

    before, began = _sizes(), _log()
    made = [propose(charge) for charge in range(1, number + 1)]
    proposed = _log()
    pending = _sizes()
    bare = _bare()
    decided = _log()
    for one in made:
        approve(one, cast.mona)
        execute(one.pk)
    done, finished = _log(), _sizes()
    states = set(ActionRequest.objects.values_list("state", flat=True))
    assert states == {"audited"}, states

    _tell("pending", before, pending, number, bare, proposed - began)
    _tell("finished", before, finished, number, bare, proposed - began + done - decided)


def _tell(what: str, before: Sizes, after: Sizes, number: int, bare: float, log: int) -> None:
    each = {
        table: ((rows - before[table][0]) / number, (indexes - before[table][1]) / number)
        for table, (rows, indexes) in after.items()
    }
    whole = sum(map(sum, each.values()))
    say(
        f"{what}: {whole:,.0f} bytes an action, {whole / bare:.1f} times a bare record "
        f"({bare:,.0f}); {log / number:,.0f} bytes of log"
    )
    for table in sorted(each, key=lambda one: -sum(each[one]))[:SHOWN]:
        rows, indexes = each[table]
        say(f"    {table:38} {rows:7,.0f} rows {indexes:7,.0f} indexes")


def _sizes() -> Sizes:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM FULL")
        cursor.execute(
            "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
        return {table: (rows, indexes) for table, rows, indexes in cursor.fetchall()}


def _log() -> int:
    """How far the log has come, in bytes."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        return int(cursor.fetchone()[0])


def _bare() -> float:
    """Bytes of a request without anything beside it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bench_bare AS SELECT r.*, c.action, c.proposal FROM "
            "approvals_actionrequest r JOIN approvals_requestcontent c ON c.request_id = r.id"
        )
        cursor.execute("ALTER TABLE bench_bare ADD PRIMARY KEY (id)")
        cursor.execute("ALTER TABLE bench_bare ADD UNIQUE (agent_id, idempotency_key)")
        cursor.execute("VACUUM FULL bench_bare")
        cursor.execute("SELECT pg_total_relation_size('bench_bare'), count(*) FROM bench_bare")
        size, rows = cursor.fetchone()
        cursor.execute("DROP TABLE bench_bare")
        return float(size / rows)


def _charge(sandbox: Any, number: int) -> str:
    """A charge of a customer of its own."""
    name = f"ch_{200_000 + number}"
    with sandbox.store.transaction("payments") as store:
        like = store.get("charge", "ch_1002")
        buyer = store.get("customer", like["customer"])
        own = {"id": name, "amount": 100_000, "amount_refunded": 0, "customer": f"cus_{name}"}
        store.put("charge", name, {**like, **own})
        store.put("customer", own["customer"], {**buyer, "id": own["customer"]})
    return name


if __name__ == "__main__":
    main()
