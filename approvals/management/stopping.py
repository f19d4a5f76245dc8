"""What `manage.py pause` and `manage.py resume` share: naming what is meant, and saying what is."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError

from approvals.choices import PauseScope
from approvals.exceptions import ApprovalError, InvalidProposal
from approvals.models import Agent
from approvals.selectors.pauses import current_pauses, paused_agents
from audit.actors import Actor

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
    return Meant()


def said(refusal: ApprovalError) -> CommandError:
    """A service's refusal, as a command says it."""
    if isinstance(refusal, InvalidProposal):
        return CommandError(" ".join(problem.message for problem in refusal.problems))
    return CommandError(refusal.message)


def what_is_stopped() -> list[str]:
    """One line for every pause in force."""
    lines = [
        f"{pause}: since {pause.paused_at:%Y-%m-%d %H:%M} UTC by {pause.paused_by}: {pause.reason}"
        for pause in current_pauses()
    ]
    lines += [
        f"agent {agent}: since {agent.paused_at:%Y-%m-%d %H:%M} UTC: {agent.pause_reason}"
        for agent in paused_agents()
    ]
    return lines or ["Nothing is paused."]
