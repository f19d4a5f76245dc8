"""Making too much of something happen, so that a trigger of the default policy fires."""

from __future__ import annotations

from approvals.models import ActionRequest, Agent, FiredTrigger, Notice
from approvals.services.execute import execute
from audit.actors import Actor
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from policies.models import User
from tests.approvals.executing import plan
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    make_request,
    refund,
)

ERRORS = ("at_least: 50\n", "at_least: 2\n")
EFFECTS = ("at_least: 5\n", "at_least: 2\n")
COST = ("at_least: 50000000\n", "at_least: 3000\n")
FORMAT = ("at_least: 10\n", "at_least: 2\n")


def allowed(cast: Cast, agent: Agent | None = None, amount: str = "20.00") -> ActionRequest:
    """A small refund to a customer of its own, which policy allows by itself otherwise."""
    return make_request(
        agent or cast.agent, refund(f"ch_{1003 + ActionRequest.objects.count()}", amount)
    )


def failed(cast: Cast, sandbox: Sandbox, agent: Agent | None = None) -> ActionRequest:
    plan(sandbox, Fault(mode="refuse", method="POST"))
    request = allowed(cast, agent)
    if request.state == "pending_approval":
        approve(request, cast.fred)
    execute(request.pk)
    assert fresh(request).state == "failed"
    return request


def done(cast: Cast, agent: Agent | None = None, amount: str = "20.00") -> ActionRequest:
    request = allowed(cast, agent, amount)
    if request.state == "pending_approval":
        approve(request, cast.fred)
    execute(request.pk)
    return fresh(request)


def fired() -> FiredTrigger:
    return FiredTrigger.objects.get()


def by(user: User) -> Actor:
    return Actor.human(user)


def whom(about: FiredTrigger) -> list[str]:
    told = Notice.objects.filter(fired=about).values_list("recipient__username", flat=True)
    return sorted(told)
