"""`manage.py pause`: the emergency stop that needs the database and nothing else.

Its options and its answer are those of `manage.py resume` too.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from approvals.choices import PauseScope
from approvals.exceptions import ApprovalError, InvalidProposal
from approvals.models import Agent
from approvals.selectors.pauses import current_pauses, paused_agents
from approvals.services import agents, pauses
from audit.actors import Actor
from audit.lib.dates import format_moment

ACTOR = Actor.system("command line")
"""Whoever may run this on the machine; the operating system has let them in."""


@dataclass(frozen=True, slots=True)
class Meant:
    """One thing to pause or resume: an agent, or a scope with its key."""

    scope: PauseScope = PauseScope.ALL
    key: str = ""
    agent: Agent | None = None


def add_targets(parser: ArgumentParser, *, listing: bool) -> None:
    """Exactly one of them is given."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--all", action="store_true", help="Everything.")
    group.add_argument("--action-type", metavar="KEY", help='One action type: "refund.issue".')
    group.add_argument("--connector", metavar="SYSTEM", help='One connector: "payments".')
    group.add_argument("--connection", metavar="NAME", help="One of a system's connections.")
    group.add_argument("--agent", metavar="NAME", help="One agent.")
    if listing:
        group.add_argument("--list", action="store_true", help="Only say what is paused now.")


def meant(options: dict[str, Any]) -> Meant:
    """What the options name. Raises CommandError for an agent nobody has registered."""
    if options["agent"]:
        found = Agent.objects.filter(name=options["agent"]).first()
        if found is None:
            names = ", ".join(Agent.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no agent of that name. There are: {names}.")
        return Meant(agent=found)
    if options["action_type"]:
        return Meant(PauseScope.ACTION_TYPE, options["action_type"])
    if options["connector"]:
        return Meant(PauseScope.CONNECTOR, options["connector"])
    if options["connection"]:
        return Meant(PauseScope.CONNECTION, options["connection"])
    return Meant()


def said(refusal: ApprovalError) -> CommandError:
    """A service's refusal, as a command says it."""
    if isinstance(refusal, InvalidProposal):
        return CommandError(" ".join(problem.message for problem in refusal.problems))
    return CommandError(refusal.message)


def what_is_stopped() -> list[str]:
    """One line for every pause in force."""
    lines = [
        f"{pause}: since {format_moment(pause.paused_at)} by {pause.paused_by}: {pause.reason}"
        for pause in current_pauses()
    ]
    lines += [
        f"agent {agent}: since {format_moment(agent.paused_at)}: {agent.pause_reason}"
        for agent in paused_agents()
        if agent.paused_at
    ]
    return lines or ["Nothing is paused."]


class Command(BaseCommand):
    help = "Stop everything, an action type, a connector, a connection or an agent."
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
