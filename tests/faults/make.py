"""Approved requests, made through the services as a web process makes them."""

from __future__ import annotations

from approvals.models import ActionRequest, Agent
from approvals.services.decide import approve
from policies.models import User
from tests.approvals.make import (
    look_at,
    make_agent,
    make_house,
    make_limit,
    make_person,
    make_request,
    refund,
)


def furnish() -> None:
    """What the template database holds: policy, people with limits, one agent."""
    make_house()
    owner = make_person("olga", "agent owner")
    make_limit(make_person("mona", "manager"), "5000.00")
    make_limit(make_person("felix", "finance"), "5000.00")
    make_person("sam", "support")
    make_agent(owner)


def an_agent() -> Agent:
    return Agent.objects.get(name="refund-bot")


def charges(number: int) -> list[str]:
    """Charges with a clean history, which policy refunds by itself."""
    return [f"ch_{1002 + n}" for n in range(number)]


def allowed_refund(charge: str = "ch_1002") -> ActionRequest:
    """A small refund that policy allowed and nobody has carried out."""
    request = make_request(an_agent(), refund(charge, "20.00"))
    assert request.state == "approved", request.state
    return request


def decided(request: ActionRequest, who: str) -> ActionRequest:
    """The request after that person approved it."""
    person = User.objects.get(username=who)
    reviewed = look_at(request, person)
    approve(
        request.pk, decider=person, reviewed=reviewed, reason_code="as_proposed", comment="Fine."
    )
    approved = ActionRequest.objects.get(pk=request.pk)
    assert approved.state == "approved", approved.state
    return approved


def large_refund() -> ActionRequest:
    """A refund that waits for the manager."""
    request = make_request(an_agent(), refund("ch_1001", "900.00"))
    assert request.state == "pending_approval", request.state
    return request


def approved_mail(to: str = "customer1002@mail.example") -> ActionRequest:
    """A mail that support approved: the kind of effect that cannot be repeated."""
    request = make_request(
        an_agent(),
        {"to": to, "subject": "Your lamp", "body": "Dear customer,\nwe are sorry.\n"},
        action_type="email.send",
    )
    return decided(request, "sam")
