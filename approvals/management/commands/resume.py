"""`manage.py resume`: lift a pause; what was approved before it is looked at again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from approvals.exceptions import ApprovalError
from approvals.management.commands.pause import ACTOR, add_targets, meant, said, what_is_stopped
from approvals.models import Pause
from approvals.services import agents, pauses


class Command(BaseCommand):
    help = "Let something that is paused go on. Approvals from before the pause do not run."

    def add_arguments(self, parser: CommandParser) -> None:
        add_targets(parser, listing=False)
        parser.add_argument("--reason", default="", help="Why it may go on, for the trail.")

    def handle(self, *args: Any, **options: Any) -> None:
        target = meant(options)
        try:
            if target.agent is not None:
                agents.resume_agent(target.agent.pk, actor=ACTOR)
            else:
                found = Pause.objects.filter(
                    scope=target.scope, key=target.key, lifted_at=None
                ).first()
                if found is None:
                    raise CommandError("That is not paused.")
                pauses.lift(found.pk, actor=ACTOR, reason=options["reason"])
        except ApprovalError as refusal:
            raise said(refusal) from None
        for line in what_is_stopped():
            self.stdout.write(line)
