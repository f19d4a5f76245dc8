"""Computing the facts: only from what the system knows, never from what the agent claims."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, Sum

from approvals.choices import DONE, ENDED_WITHOUT_EFFECT
from approvals.models import ActionRequest
from approvals.services.derive import Candidate
from connectors.base import Preview
from policies.facts import (
    ActionFacts,
    AgentFacts,
    CustomerFacts,
    EvidenceFacts,
    Facts,
    VelocityFacts,
)
from policies.verdicts import Verdict

_DAY = timedelta(hours=24)


def compute_facts(candidate: Candidate, preview: Preview, *, now: datetime) -> Facts:
    """Everything rules may ask about this candidate, at this time."""
    return Facts(
        action=_action(candidate),
        agent=_agent(candidate, now),
        customer=_customer(preview),
        evidence=_evidence(candidate, preview),
        velocity=_velocity(candidate, now),
    )


def _action(candidate: Candidate) -> ActionFacts:
    amount = candidate.amount
    return ActionFacts(
        type=candidate.type.key,
        verb=candidate.type.verb.value,
        system=candidate.type.system,
        reversibility=candidate.type.reversibility.value,
        amount=amount.minor if amount else 0,
        currency=amount.currency if amount else "",
        target=candidate.target,
        counterparty=candidate.counterparty,
        data_classes=tuple(sorted(candidate.type.data_classes)),
        is_undo=candidate.is_undo,
        supervised=candidate.type.supervised,
    )


def _agent(candidate: Candidate, now: datetime) -> AgentFacts:
    agent, amount = candidate.agent, candidate.amount
    over = False
    if amount and agent.ceiling_minor is not None:
        # money of another currency than the ceiling's is never under it
        over = amount.currency != agent.ceiling_currency or amount.minor > agent.ceiling_minor
    return AgentFacts(
        name=agent.name,
        team=agent.team,
        owner=agent.owner.get_username(),
        age_days=(now - agent.created_at).days,
        ceiling=agent.ceiling_minor or 0,
        over_ceiling=over,
        confidence=-1.0 if candidate.confidence is None else float(candidate.confidence),
    )


def _customer(preview: Preview) -> CustomerFacts:
    known = {f.name for f in fields(CustomerFacts)}
    values: dict[str, Any] = {}  # the connector's; the dataclass's types are checked by evaluate
    for name, value in preview.facts.items():
        group, _, key = name.partition(".")
        if group != "customer" or key not in known:
            raise ValueError(f"The connector reported an undeclared fact: {name}.")
        values[key] = value
    return CustomerFacts(**values)


def _evidence(candidate: Candidate, preview: Preview) -> EvidenceFacts:
    params = candidate.params
    orderless = "purchase_order" in _properties(candidate) and not params.get("purchase_order")
    return EvidenceFacts(
        kinds=tuple(sorted({e.kind for e in preview.evidence})),
        missing_purchase_order=orderless,
        preview_available=not preview.unavailable,
        flags=tuple(flag.value for flag in candidate.flags),
    )


def _properties(candidate: Candidate) -> frozenset[str]:
    properties = candidate.type.schema.get("properties", {})
    return frozenset(properties) if isinstance(properties, dict) else frozenset()


def _velocity(candidate: Candidate, now: datetime) -> VelocityFacts:
    since = now - _DAY
    others = ActionRequest.objects.filter(created_at__gte=since).exclude(
        state__in=ENDED_WITHOUT_EFFECT
    )
    if candidate.request_id is not None:
        others = others.exclude(pk=candidate.request_id)
    same_currency = Q(currency=candidate.amount.currency if candidate.amount else "")
    same_target = others.filter(action_type=candidate.type.key, target=candidate.target).aggregate(
        count=Count("pk"), amount=Sum("amount_minor", filter=same_currency)
    )
    allowed = same_currency & Q(verdict=Verdict.ALLOW.value)
    same_agent = others.filter(agent=candidate.agent).aggregate(
        count=Count("pk"), allowed=Sum("amount_minor", filter=allowed)
    )
    own = candidate.amount.minor if candidate.amount else 0
    return VelocityFacts(
        target_count_24h=same_target["count"] + 1,
        target_sum_24h=(same_target["amount"] or 0) + own,
        agent_count_24h=same_agent["count"] + 1,
        agent_allowed_24h=(same_agent["allowed"] or 0) + own,
        duplicates=others.filter(business_key=candidate.business_key).count(),
        first_for_counterparty=not ActionRequest.objects.filter(
            counterparty=candidate.counterparty, action_type=candidate.type.key, state__in=DONE
        ).exists(),
    )
