"""Plain functions that make what tests of the lifecycle need."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

from approvals.models import ActionRequest, Agent
from approvals.proposal import Proposal, SuppliedEvidence
from approvals.selectors import clock
from approvals.selectors.shown import Seen, seal, shown_content, unseal
from approvals.services import agents
from approvals.services.propose import propose
from audit.actors import Actor
from audit.canonical import JsonObject
from audit.money import Money
from connectors.registry import action_types
from policies.models import User
from policies.services import limits, people, roles, versions

INSTALLER = Actor.system("installation")
PASSWORD = "correct horse battery staple"
_numbers = count(1)


def make_house() -> None:
    """Roles and the default policy: what every deployment starts with."""
    roles.sync_roles(actor=INSTALLER)
    versions.install_default(actor=INSTALLER)


def make_person(name: str, *groups: str, person: str = "", **fields: Any) -> User:
    """An active account in those roles."""
    return people.create_user(
        username=name,
        email=f"{name}@retailer.example",
        password=PASSWORD,
        roles=groups,
        person=person or name,
        actor=INSTALLER,
        **fields,
    )


def make_limit(user: User, each: str, *, action_type: str = "*", currency: str = "EUR") -> None:
    """The person may approve up to `each` of any kind of action."""
    limits.set_limit(
        user_id=user.pk,
        action_type=action_type,
        currency=currency,
        each_minor=Money.parse(each, currency).minor,
        actor=INSTALLER,
        reason="test",
    )


def make_agent(owner: User, name: str = "refund-bot", **fields: Any) -> Agent:
    """An agent that may propose everything."""
    values: dict[str, Any] = {
        "team": "support",
        "action_types": [kind.key for kind in action_types()],
        **fields,
    }
    return agents.register_agent(name=name, owner=owner, actor=INSTALLER, **values)


def make_key(agent: Agent) -> str:
    """A key that works, in clear."""
    return agents.issue_key(agent.pk, actor=INSTALLER, lifetime=timedelta(days=1)).secret


def refund(charge: str = "ch_1002", amount: str = "180.00", **params: str) -> JsonObject:
    """Params of a refund."""
    return {
        "charge": charge,
        "amount": amount,
        "currency": "EUR",
        "reason": "damaged on arrival",
        **params,
    }


def make_proposal(
    params: JsonObject | None = None,
    *,
    action_type: str = "refund.issue",
    intent: str = "The customer sent a photo of the broken item.",
    evidence: tuple[SuppliedEvidence, ...] = (),
    **fields: Any,
) -> Proposal:
    """A proposal as the API would build it."""
    params = refund() if params is None else params
    return Proposal(
        action_type=action_type,
        params=params,
        body={"action_type": action_type, "params": params, "intent": intent},
        intent=intent,
        evidence=evidence,
        texts=(intent, *(e.excerpt for e in evidence)),
        **fields,
    )


def make_request(agent: Agent, params: JsonObject | None = None, **fields: Any) -> ActionRequest:
    """A proposed request, as far as intake carries it."""
    key = f"key-{next(_numbers)}"
    return propose(make_proposal(params, **fields), agent=agent, idempotency_key=key).request


def look_at(request: ActionRequest, user: User) -> Seen:
    """What a person's form carries after the page was rendered for them now."""
    request = ActionRequest.objects.get(pk=request.pk)
    return unseal(seal(request, shown_content(request), user=user, at=clock.now()))
