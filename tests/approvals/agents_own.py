"""Actions agents carry out themselves: the policy for them, an agent, and its requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from approvals.exceptions import GrantRefused
from approvals.models import ActionRequest, Agent, Execution
from approvals.selectors.agent_story import AgentStory
from approvals.services.redeem import RedeemedGrant, Report, Reported, redeem, report
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from tests.approvals.make import Cast, approve, fresh, make_agent, make_request, publish, said
from tests.approvals.story import DECIDED, ROUTED

COMMAND: JsonObject = {"command": "make deploy", "directory": "/srv/shop", "host": "build-7"}
LEASE = timedelta(minutes=10)
APPROVED = [*ROUTED, DECIDED[0], *DECIDED]
REDEEMED = [*APPROVED, "grant.consumed", "request.execution_begun"]
_RULES = """
  - id: commands
    owner: head of security
    reason: What runs on our machines is looked at by a person.
    on: [command.run, service.deploy]
    when:
      - action.execution == "agent"
    effect: require_approval
    requirements: [{group: operations}]
  - id: machine
"""
_OVERRIDE = """
  - tier: 4
    action_type: command.*
    evidence: [diff, {kind: risk_analysis, by: anyone}]
  - tier: 5
    requirements: [{group: operations}, {group: manager}]
"""


def rules_for_commands(cast: Cast, *more: tuple[str, str]) -> None:
    """A published policy under which a command is of tier 3, and so of tier 4 for the agent."""
    tier = '"vendor.reverse", "email.send"'
    publish(
        cast,
        ("\n  - id: machine\n", _RULES),
        (tier, f'{tier}, "command.run"'),
        ("\n  - tier: 5\n    requirements: [{group: operations}, {group: manager}]\n", _OVERRIDE),
        *more,
    )


def make_coder(cast: Cast, name: str = "coder") -> Agent:
    """An agent that runs commands where it is."""
    return make_agent(cast.owner, name, action_types=["command.run"])


def make_command(agent: Agent, **changed: str) -> ActionRequest:
    """A command that waits for security and operations."""
    params: JsonObject = {**COMMAND, **changed}
    evidence = (said("risk_analysis"),)
    return make_request(agent, params, action_type="command.run", evidence=evidence)


def approved_command(cast: Cast, agent: Agent, **params: str) -> ActionRequest:
    """One that both said yes to."""
    request = make_command(agent, **params)
    approve(request, cast.sara, cast.otto)
    return request


def redeemed(request: ActionRequest, redeemer: str = "run-1") -> RedeemedGrant:
    """The grant, as its agent takes it."""
    return redeem(request.pk, agent=request.agent, redeemer=redeemer)


def reports(
    request: ActionRequest, outcome: str = "done", *, fence: int = 1, receipt: str = "build-4711"
) -> None:
    """The agent says what came of it."""
    told = Report(fence=fence, outcome=Reported(outcome), receipt=receipt)
    report(request.pk, agent=request.agent, said=told)


def refused(request: ActionRequest, redeemer: str = "run-1") -> str:
    """The code with which the grant is not given."""
    with pytest.raises(GrantRefused) as refusal:
        redeemed(request, redeemer)
    assert refusal.value.message.endswith(".")
    return refusal.value.code


def told(request: ActionRequest) -> AgentStory:
    """What its agent is told of it now."""
    return AgentStory(fresh(request))


def lease_over(request: ActionRequest) -> None:
    """The time to report ends now."""
    Execution.objects.filter(request=request).update(lease_until=db_clock.now())


def executions(request: ActionRequest) -> list[dict[str, Any]]:
    found = Execution.objects.filter(request=request)
    return list(found.values("state", "redeemer", "receipt_reference", "problem"))
