"""Executions to be carried on: claimed, called, taken over, and what their attempts came to."""

from __future__ import annotations

from datetime import timedelta

from approvals.domain.attempts import Claim
from approvals.domain.evidence import read_target
from approvals.models import ActionRequest, Attempt, Execution
from approvals.services.execute import _due_action, claim_now
from approvals.services.recover import recover
from audit.lib import db_clock
from connectors.sandbox.server import Sandbox
from connectors.sandbox.web import Fault
from tests.approvals.make import Cast, approve, make_person, make_request


def plan(sandbox: Sandbox, fault: Fault, *, system: str = "payments") -> None:
    """Plan one fault of an outside system."""
    found = next(web.system for web in sandbox._web if web.system.name == system)
    found.faults.plan(fault)


def claimed(request: ActionRequest) -> Claim:
    """The right to call out once, as a worker gets it."""
    action, _ = _due_action(request.pk)
    assert action is not None
    claim = claim_now(request.pk, read_target(action))
    assert isinstance(claim, Claim)
    return claim


def taken_over(request: ActionRequest) -> None:
    """The lease ends, and another worker carries on."""
    Execution.objects.filter(request=request).update(lease_until=db_clock.now())
    recover(request.pk)


def attempts(request: ActionRequest) -> list[str]:
    """How each attempt ended, oldest first."""
    found = Attempt.objects.filter(execution__request=request).order_by("fence")
    return list(found.values_list("outcome", flat=True))


def approved_mail(cast: Cast, to: str = "customer1002@mail.example") -> ActionRequest:
    """A mail that support approved: the kind of effect that cannot be repeated."""
    params = {"to": to, "subject": "Your lamp", "body": "Dear customer,\nwe are sorry.\n"}
    request = make_request(cast.agent, params, action_type="email.send")
    approve(request, make_person(f"sam-{request.pk.hex[-6:]}", "support"))
    return request


def time_until_next_attempt(request: ActionRequest) -> timedelta:
    """How long nobody calls again."""
    lease = Execution.objects.values_list("lease_until", flat=True).get(request=request)
    assert lease is not None
    return lease - db_clock.now()
