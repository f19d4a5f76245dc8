"""What a sweep costs, and whether what is approved waits for one.

Run it by hand; it starts a PostgreSQL and a Redis of its own and real workers:

    python -m tests.bench.sweeps

- idle: one pass with nothing due, beside so many pending requests and beside none;
- overdue: requests ended in statements for a thousand, beside one by one, in turns;
- latency: from approved to executed with workers, beat and nothing else to do, and then with ten
  thousand overdue requests and twenty-five thousand mails to send. `--one-worker` runs one worker
  for both queues in place of one for each.

Rows are made by the product once and multiplied by INSERT ... SELECT. Read the ratios.

On 2026-11-22, on two cores with twenty other processes: what is overdue is ended 27.9 times faster
together than one by one. An idle pass beside 600,000 pending took 635 ms, 2.0 times what it took
beside none. Of a pass over a million requests 1.5 s of 1.9 s were one question in an order that no
index had. Asked in another, looking alone took 105 to 190 ms there against 98 to 123 ms beside
20,000, though it found fifty times as much; the idle pass was not measured again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.servers import postgres, redis_server

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("LOG_LEVEL", "ERROR")
os.environ |= {
    "DEBUG": "0",
    "DEMO": "1",  # workers of ours do not start beside PostgreSQL with DEBUG
    "SECRET_KEY": "a key for benchmarks that signs nothing anywhere else",
    "AUDIT_KEY": "another key for benchmarks that seals nothing anywhere else",
}

PENDING = 600_000
OVERDUE = 10_000
NOTICES = 25_000
SAMPLES = 40
ALONE = 100
"""How many are ended one by one, after each thousand that are ended together."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pending", type=int, default=PENDING)
    options.add_argument("--samples", type=int, default=SAMPLES)
    options.add_argument("--one-worker", action="store_true")
    options.add_argument("--only", choices=["idle", "overdue", "latency"], default="")
    chosen = options.parse_args()
    if "DATABASE_URL" not in os.environ:
        with postgres() as (url, _), redis_server() as (redis, _):
            env = {"DATABASE_URL": url, "BROKER_URL": f"{redis}/0"}
            command = [sys.executable, "-m", "tests.bench.sweeps", *sys.argv[1:]]
            raise SystemExit(subprocess.call(command, env={**os.environ, **env}))
    import django

    django.setup()
    _measure(chosen)


def _measure(chosen: argparse.Namespace) -> None:
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
            bench = _Bench(sandbox, Path(name))
            if chosen.only in {"", "overdue"}:
                bench.overdue()
            if chosen.only in {"", "latency"}:
                bench.latency(chosen.samples, one_worker=chosen.one_worker)
            if chosen.only in {"", "idle"}:
                bench.idle(chosen.pending)
    finally:
        connections.close_all()
        runner.teardown_databases(old)


def say(line: str) -> None:
    print("  " + line, flush=True)  # noqa: T201 - a script's output


class _Bench:
    """A house, one pending request to multiply, and the outside systems."""

    def __init__(self, sandbox: Any, folder: Path) -> None:
        from approvals.services.deadlines import step_on
        from tests.approvals.make import make_cast, make_request, manager_refund

        self.sandbox, self.folder = sandbox, folder
        self.agent = make_cast().agent
        self.model = make_request(self.agent, manager_refund("800.00"))
        assert self.model.state == "pending_approval", self.model.state
        step_on(self.model.pk)

    def idle(self, number: int) -> None:
        """A pass with nothing due, as a worker makes it."""
        from approvals.services.sweep import sweep

        def one_pass() -> float:
            began = time.perf_counter()
            swept = sweep(through_broker=True)
            took = time.perf_counter() - began
            assert not swept.more, swept
            return took

        for _ in range(3):
            one_pass()
        without = statistics.median(one_pass() for _ in range(30))
        began = time.perf_counter()
        self._multiply(number, due_in="interval '1 day'")
        say(f"(made {number:,} pending requests in {time.perf_counter() - began:.0f} s)")
        one_pass()
        beside = statistics.median(one_pass() for _ in range(30))
        say(
            f"idle sweep: {1000 * beside:.1f} ms beside {number:,} pending, "
            f"{1000 * without:.1f} ms beside none: {beside / without:.2f}"
        )

    def overdue(self) -> None:
        """Both ways in turns, on rows of the same kind; the ratio of their medians."""
        from approvals.selectors import due
        from approvals.services.deadlines import expire
        from approvals.services.deadlines_together import expire_all
        from audit.lib import db_clock

        self._multiply(OVERDUE + OVERDUE // due.BATCH * ALONE, due_in="interval '-1 minute'")
        alone: list[float] = []
        together: list[float] = []
        while ids := due.run_out(db_clock.now()):
            alone.append(_seconds_each(lambda found: [expire(pk) for pk in found], ids[:ALONE]))
            if many := ids[ALONE:]:
                together.append(_seconds_each(expire_all, many))
        one, each = statistics.median(alone), statistics.median(together)
        say(
            f"overdue: {1e6 * each:,.0f} us a request together, {1e6 * one:,.0f} us one by one: "
            f"{one / each:.1f} times faster ({len(alone)} turns)"
        )

    def latency(self, samples: int, *, one_worker: bool) -> None:
        """From approved to executed, with real workers."""
        with self._workers(one_worker):
            self._execute_some(10)
            quiet = self._execute_some(samples)
            self._multiply(OVERDUE, due_in="interval '-1 minute'")
            self._multiply_notices(NOTICES)
            time.sleep(6)  # beat has asked for a sweep
            before = self._backlog()
            busy = self._execute_some(samples)
            after = self._backlog()
        say(f"backlog (overdue, mails): {before} when the busy half began, {after} at its end")
        for name, times in (("quiet", quiet), ("busy", busy)):
            say(
                f"approved to executed, {name}: median {1000 * statistics.median(times):.0f} ms, "
                f"longest {1000 * max(times):.0f} ms"
            )
        say(f"ratio of the medians: {statistics.median(busy) / statistics.median(quiet):.2f}")

    @contextmanager
    def _workers(self, one_worker: bool) -> Iterator[None]:
        celery = [sys.executable, "-m", "celery", "--quiet", "-A", "config"]
        worker = [*celery, "worker", "--loglevel", "ERROR", "--pool=prefork", "--concurrency=2",
                  "-Ofair", "--without-gossip", "--without-mingle"]  # fmt: skip
        queues: list[list[str]] = [["-Q", "executions"], ["-Q", "celery"]]
        commands = [worker + own for own in ([[]] if one_worker else queues)]
        commands.append([*celery, "beat", "--schedule", str(self.folder / "schedule")])
        log = (self.folder / "log").open("w")
        running = [
            subprocess.Popen(command, env=self._env(), stdout=log, stderr=log)
            for command in commands
        ]
        try:
            yield
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(60)
            log.close()

    def _env(self) -> dict[str, str]:
        from django.db import connection

        own = connection.settings_dict
        login = f"{own['USER']}:{own['PASSWORD']}" if own["PASSWORD"] else own["USER"]
        connectors = self.sandbox.connectors
        return {
            **os.environ,
            "DATABASE_URL": f"postgres://{login}@{own['HOST']}:{own['PORT']}/{own['NAME']}",
            "EMAIL_URL": connectors["email"]["url"],
            "PAYMENTS_URL": connectors["payments"]["base_url"],
            "NEWEST_EVENT_FILE": str(self.folder / "workers-newest-event.json"),
            "COUNTERSIGN_VAR": str(self.folder),
        }

    def _execute_some(self, number: int) -> list[float]:
        from tests.approvals.make import make_request, refund

        times = []
        for _ in range(number):
            request = make_request(self.agent, refund(_charge(self.sandbox), "1.00"))
            began = time.perf_counter()
            assert request.state == "approved", list(request.policy_decisions.values_list("trace"))
            while _state_of(request.pk) in {"approved", "executing"}:
                assert time.perf_counter() - began < 300, (self.folder / "log").read_text()[-2000:]
                time.sleep(0.002)
            times.append(time.perf_counter() - began)
            time.sleep(0.05)
        return times

    def _backlog(self) -> tuple[int, int]:
        from approvals.models import ActionRequest, Notice
        from audit.lib import db_clock

        overdue = ActionRequest.objects.filter(
            state="pending_approval", decide_by__lte=db_clock.now()
        )
        return overdue.count(), Notice.objects.filter(sent_at=None).count()

    def _multiply(self, number: int, *, due_in: str) -> None:
        """More requests like the model, with requirements and counters of their own."""
        statements = _multiplying(due_in)
        for statement in statements if number < PENDING else statements[:2]:
            _past_triggers(statement, {"like": self.model.pk, "number": number})
        _past_triggers("ANALYZE", {})

    def _multiply_notices(self, number: int) -> None:
        columns = _columns("approvals_notice", at="now()")
        _past_triggers(
            f"INSERT INTO approvals_notice ({', '.join(columns)})"
            f" SELECT {', '.join(columns.values())}"
            " FROM (SELECT * FROM approvals_notice LIMIT 1) one, generate_series(1, %(number)s) n",
            {"number": number},
        )


def _columns(table: str, at: str = "", **changed: str) -> dict[str, str]:
    """The columns of a table but its serial id, and what each is in a copy of a row."""
    from django.apps import apps

    (model,) = (m for m in apps.get_models() if m._meta.db_table == table and not m._meta.proxy)
    names = [
        f.column for f in model._meta.concrete_fields if f.get_internal_type() != "BigAutoField"
    ]
    times = {"created_at": at, "next_attempt_at": at, "sent_at": "NULL"} if at else {}
    return {f'"{n}"': changed.get(n) or times.get(n) or f'one."{n}"' for n in names}


def _multiplying(due_in: str) -> Sequence[str]:
    """Each request has a target and a customer of its own and shares agent and owner."""
    own = _columns(
        "approvals_actionrequest",
        id="gen_random_uuid()",
        idempotency_key="'copy-' || gen_random_uuid()",
        target="'charge ' || n",
        decide_by=f"now() + {due_in}",
        next_step_at=f"now() + {due_in}",
    )
    asked = _columns("approvals_requirement", request_id="r.id")
    events = _columns("audit_auditevent", subject_id="r.id::text")
    fresh = (
        "SELECT r.id FROM approvals_actionrequest r WHERE idempotency_key LIKE 'copy-%%'"
        " AND NOT EXISTS (SELECT 1 FROM approvals_countedrequest c WHERE c.request_id = r.id)"
    )
    return (
        f"INSERT INTO approvals_actionrequest ({', '.join(own)}) SELECT {', '.join(own.values())}"
        " FROM approvals_actionrequest one, generate_series(1, %(number)s) n"
        " WHERE one.id = %(like)s",
        f"INSERT INTO approvals_requirement ({', '.join(asked)}) SELECT {', '.join(asked.values())}"
        f" FROM approvals_requirement one, ({fresh}) r WHERE one.request_id = %(like)s",
        # the trail is as long as it would be: on a short one PostgreSQL reads all of it
        f"INSERT INTO audit_auditevent ({', '.join(events)}) SELECT {', '.join(events.values())}"
        f" FROM audit_auditevent one, ({fresh}) r WHERE one.subject_id = %(like)s::text",
        "INSERT INTO approvals_velocitycounter (scope, key) SELECT scope, scope || r.id"
        f" FROM ({fresh}) r, (VALUES ('target'), ('customer')) s(scope)",
        'INSERT INTO approvals_velocitybucket (counter_id, hour, "count", sum_base, allowed_base)'
        " SELECT v.id, c.hour, 1, c.amount_base, 0 FROM approvals_countedrequest c,"
        f" ({fresh}) r CROSS JOIN (VALUES ('target'), ('customer')) s(scope)"
        " JOIN approvals_velocitycounter v ON v.scope = s.scope AND v.key = s.scope || r.id"
        " WHERE c.request_id = %(like)s",
        "INSERT INTO approvals_countedrequest"
        " (request_id, counters, number, hour, amount_base, allowed)"
        " SELECT r.id, jsonb_build_array(t.id, v.id, c.counters -> 2, c.counters -> 3),"
        f" c.number, c.hour, c.amount_base, false FROM ({fresh}) r"
        " JOIN approvals_velocitycounter t ON t.scope = 'target' AND t.key = 'target' || r.id"
        " JOIN approvals_velocitycounter v ON v.scope = 'customer' AND v.key = 'customer' || r.id"
        " JOIN approvals_countedrequest c ON c.request_id = %(like)s",
    )


def _past_triggers(statement: str, values: dict[str, Any]) -> None:
    from django.db import connection

    from tests.database import triggers_off

    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def _seconds_each(work: Callable[[Sequence[UUID]], object], ids: Sequence[UUID]) -> float:
    began = time.perf_counter()
    work(ids)
    return (time.perf_counter() - began) / len(ids)


def _state_of(request_id: UUID) -> str:
    from approvals.models import ActionRequest

    return str(ActionRequest.objects.values_list("state", flat=True).get(pk=request_id))


_charges = 0


def _charge(sandbox: Any) -> str:
    """A charge of a customer nobody has refunded anything yet."""
    global _charges
    _charges += 1
    name = f"ch_{100_000 + _charges}"
    with sandbox.store.transaction("payments") as store:
        like = store.get("charge", "ch_1002")
        buyer = store.get("customer", like["customer"])
        own = {"id": name, "amount": 100_000, "amount_refunded": 0, "customer": f"cus_{name}"}
        store.put("charge", name, {**like, **own})
        store.put("customer", own["customer"], {**buyer, "id": own["customer"]})
    return name


if __name__ == "__main__":
    main()
