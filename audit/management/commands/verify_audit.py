"""`manage.py verify_audit`: check the whole trail; exit 0, or 1 with the first bad record."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.lib.db import is_postgres
from audit.reading import one_snapshot
from audit.verify import Report, verify, verify_in_parallel


class Command(BaseCommand):
    help = "Check every event chain and every record against its chain. Writers are not blocked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--jobs", type=int, default=1, help="Processes to use (PostgreSQL only; default 1)."
        )

    def handle(self, *args: Any, jobs: int, **options: Any) -> None:
        if jobs < 1 or (jobs > 1 and not is_postgres()):
            raise CommandError("--jobs must be 1, or more on PostgreSQL.", returncode=2)
        began = time.perf_counter()
        with one_snapshot():
            report = verify() if jobs == 1 else verify_in_parallel(jobs)
        seconds = time.perf_counter() - began
        if report.problem:
            raise CommandError(f"The trail does not verify. First bad record: {report.problem}")
        self.stdout.write(self.style.SUCCESS(_summary(report, seconds)))


def _summary(report: Report, seconds: float) -> str:
    rate = report.events / seconds if seconds else 0.0
    return (
        f"The trail verifies: {report.events:,} events of {report.subjects:,} subjects "
        f"in {seconds:.1f} s ({rate:,.0f} events per second)."
    )
