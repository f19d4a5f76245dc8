"""`manage.py pause`: the emergency stop that needs the database and nothing else."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from approvals.exceptions import ApprovalError
from approvals.management.stopping import ACTOR, add_targets, meant, said, what_is_stopped
from approvals.services import agents, pauses


class Command(BaseCommand):
    help = "Stop everything, an action type, a connector or an agent; say what is stopped."
    requires_system_checks = ()  # a misconfigured part must not keep anybody from stopping

    def add_arguments(self, parser: CommandParser) -> None:
        add_targets(parser, listing=True)
        parser.add_argument("--reason", default="", help="Why, for everybody who runs into it.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["list"]:
            target, reason = meant(options), options["reason"]
            try:
                if target.agent is not None:
                    agents.pause_agent(target.agent.pk, actor=ACTOR, reason=reason)
                else:
                    pauses.pause(target.scope, target.key, actor=ACTOR, reason=reason)
            except ApprovalError as refusal:
                raise said(refusal) from None
        for line in what_is_stopped():
            self.stdout.write(line)
