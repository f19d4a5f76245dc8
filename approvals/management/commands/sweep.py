"""`manage.py sweep`: one pass of everything beat does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from approvals.services.sweep import sweep
from approvals.services.watching import watch


class Command(BaseCommand):
    help = "Carry on everything that is due: intakes, executions, leases, read-backs, clocks."

    def handle(self, *args: Any, **options: Any) -> None:
        swept = sweep()
        for name, count in swept.counts.items():
            self.stdout.write(f"{name}: {count}")
        for problem in watch():
            self.stdout.write(f"wrong: {problem.reason}")
        if swept.failed:
            raise CommandError(f"{swept.failed} rows failed; see the log. They are tried again.")
