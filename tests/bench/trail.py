"""What the trail costs: verification speed, and writers with and without their events.

Run it by hand against a database whose name you choose; it is created by the tests' machinery
and dropped again:

    DEBUG=1 DATABASE_URL=postgres://... python -m tests.bench.trail --events 1000000 --seconds 5

Runs with and without events alternate, so that a busy machine slows both. Read the ratios, not
the absolute numbers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection, connections, transaction  # noqa: E402 - needs the settings
from django.test.utils import get_runner  # noqa: E402

from audit import chain  # noqa: E402
from audit.actors import Actor  # noqa: E402
from audit.events import AuditCode  # noqa: E402
from audit.models import AuditEvent, AuditStream  # noqa: E402
from audit.reading import one_snapshot, rows_in_chain_order  # noqa: E402
from audit.services import Entry, record_all  # noqa: E402
from audit.verify import (  # noqa: E402
    check_chains,
    verify,
    verify_in_parallel,
)

PER_SUBJECT = 12
POLICY = Actor.system("policy")
DATA = {"action_type": "refund.issue", "target": "ch_1001", "verdict": "require approval"}
INTAKE = [
    Entry(code, POLICY, "pending", DATA)
    for code in (
        AuditCode.REQUESTED,
        AuditCode.CLASSIFIED,
        AuditCode.EVIDENCE_COLLECTED,
        AuditCode.POLICY_CHECKED,
        AuditCode.ROUTED,
    )
]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--seconds", type=float, default=5.0)
    chosen = options.parse_args()
    runner = get_runner(settings)(verbosity=0, interactive=False)
    old = runner.setup_databases()
    try:
        _prepare_request_table()
        print(f"{connection.vendor}")  # noqa: T201 - a script's output
        writer_cost(chosen.seconds)
        parallel_writers(chosen.seconds)
        verification(chosen.events)
    finally:
        connections.close_all()
        runner.teardown_databases(old)


def say(line: str) -> None:
    print("  " + line, flush=True)  # noqa: T201 - a script's output


# --- Verification ---------------------------------------------------------------------------


def verification(count: int) -> None:
    fill(count)
    began = time.perf_counter()
    with one_snapshot():
        rows = list(islice(rows_in_chain_order(), 200_000))
    say(f"read {len(rows) / (time.perf_counter() - began):,.0f} events/s")
    used = time.process_time()
    for _ in check_chains(rows, chain.keyring()):
        pass
    say(f"chain arithmetic {len(rows) / (time.process_time() - used):,.0f} events/s and core")
    del rows
    for _ in range(3):
        began, used = time.perf_counter(), time.process_time()
        with one_snapshot():
            report = verify()
        if report.problem or not report.events:
            raise SystemExit(f"the bench's own trail does not verify: {report.problem}")
        wall, cpu = time.perf_counter() - began, time.process_time() - used
        say(
            f"verify {report.events:,} events of {report.subjects:,} subjects, records included: "
            f"{report.events / wall:,.0f} events/s, {report.events / cpu:,.0f} per CPU second here"
        )
    if connection.vendor == "postgresql":
        began = time.perf_counter()
        with one_snapshot():
            report = verify_in_parallel(2)
        say(f"with --jobs 2: {report.events / (time.perf_counter() - began):,.0f} events/s")


def fill(count: int) -> None:
    """Write well-formed chains straight from the arithmetic, in large batches."""
    keys = chain.keyring()
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    data = '{"action_type":"refund.issue","target":"ch_1001","verdict":"require approval"}'
    streams: list[AuditStream] = []
    events: list[AuditEvent] = []
    for number in range(count // PER_SUBJECT):
        name, head = str(uuid.UUID(int=number * 2**90 + number)), chain.GENESIS
        for seq in range(1, PER_SUBJECT + 1):
            event = AuditEvent(
                subject_type="audit.auditstream", subject_id=name, seq=seq,
                code="request.classified", actor_kind="system", actor_id="policy",
                actor_name="policy", at=now, state="", data=data, key_id=keys.current,
            )  # fmt: skip
            covered = chain.message(
                head, "audit.auditstream", name, seq, event.code, "system", "policy", "policy",
                chain.moment(now), "", data,
            )  # fmt: skip
            event.mac = head = chain.mac(keys.keys[keys.current], covered)
            events.append(event)
        streams.append(AuditStream(name=name, audit_seq=PER_SUBJECT, audit_head=head))
        if len(events) >= 12_000:
            AuditStream.objects.bulk_create(streams)
            AuditEvent.objects.bulk_create(events, batch_size=2_000)
            streams.clear()
            events.clear()
    AuditStream.objects.bulk_create(streams)
    AuditEvent.objects.bulk_create(events, batch_size=2_000)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE audit_auditevent")


# --- Writers ---------------------------------------------------------------------------------


def _prepare_request_table() -> None:
    """A row about as wide as a request, with its params and evidence beside it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bench_request (id varchar(36) PRIMARY KEY, body text, state varchar(24), "
            "agent varchar(36), audit_seq integer, audit_head varchar(64))"
        )
        cursor.execute("CREATE INDEX bench_request_agent ON bench_request (agent, id)")


def write_request(*, with_trail: bool) -> None:
    """One intake-like transaction: a request and its subject; with its five events or without."""
    subject = AuditStream(name=str(uuid.uuid4()))
    with transaction.atomic(), connection.cursor() as cursor:
        if with_trail:
            record_all(INTAKE, subject=subject)
        cursor.execute(
            "INSERT INTO bench_request VALUES (%s, %s, 'pending', %s, %s, %s)",
            [str(uuid.uuid4()), "x" * 4_000, "agent-1", subject.audit_seq, subject.audit_head],
        )
        subject.save(force_insert=True)


def writer_cost(seconds: float) -> None:
    with_trail, without = _alternate(
        lambda: write_request(with_trail=True), lambda: write_request(with_trail=False), seconds
    )
    say(f"one writer: a transaction with 5 events takes {with_trail / without:.2f} of one without")
    began = time.perf_counter()
    for number in range(5_000):
        covered = chain.message(
            "0" * 64, "audit.auditstream", str(number), number, "request.routed", "system",
            "policy", "policy", chain.moment(datetime.now(UTC)), "pending", "x" * 90,
        )  # fmt: skip
        chain.mac(b"k" * 48, covered)
    chaining = (time.perf_counter() - began) / 1_000
    say(f"            of which chaining them takes {chaining / with_trail:.1%}, the rest is rows")
    say(f"            {1 / with_trail:,.0f} against {1 / without:,.0f} transactions/s")


def _alternate(
    first: Callable[[], None], second: Callable[[], None], seconds: float
) -> tuple[float, float]:
    """Median seconds a call of each takes, measured in alternation."""
    taken: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for call, times in zip((first, second), taken, strict=True):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
    return statistics.median(taken[0]), statistics.median(taken[1])


def parallel_writers(seconds: float) -> None:
    if connection.vendor != "postgresql":
        say("parallel writers: skipped, SQLite has one writer at a time")
        return
    alone = _writers(1, seconds)
    for threads in (4, 8):
        say(f"{threads} writers: {_writers(threads, seconds) / alone:.2f} of one writer's rate")
    shared = _writers(8, seconds, one_lock=True) / alone
    say(f"8 writers that share one lock, as a global chain would: {shared:.2f}")


def _writers(threads: int, seconds: float, *, one_lock: bool = False) -> float:
    counts = [0] * threads
    end = time.perf_counter() + seconds

    def work(index: int) -> None:
        try:
            while time.perf_counter() < end:
                with transaction.atomic():
                    if one_lock:
                        with connection.cursor() as cursor:
                            cursor.execute("SELECT pg_advisory_xact_lock(4711)")
                    write_request(with_trail=True)
                counts[index] += 1
        finally:
            connection.close()

    workers = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


if __name__ == "__main__":
    main()
