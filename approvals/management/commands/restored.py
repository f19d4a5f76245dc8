"""`manage.py restored`: say that this database came from a backup, before anything runs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from approvals.exceptions import ApprovalError
from approvals.management.commands.pause import ACTOR, said, what_is_stopped
from approvals.services import restores


class Command(BaseCommand):
    help = "After restoring a backup: freeze everything until people have reconciled."
    requires_system_checks = ()  # a misconfigured part must not keep anybody from stopping

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--reason",
            default="The database was restored from a backup.",
            help="Which backup, from when: for everybody who runs into the freeze.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            restores.freeze(actor=ACTOR, reason=options["reason"])
        except ApprovalError as refusal:
            raise said(refusal) from None
        for line in what_is_stopped():
            self.stdout.write(line)
        self.stdout.write(
            "Workers ask the targets what was done before. People end the freeze under Pauses."
        )
