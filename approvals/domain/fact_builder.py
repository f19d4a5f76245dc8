"""Computing the facts: only from what the system knows, never from what the agent claims."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.crypto import salted_hmac

from approvals.domain.budgets import is_over_budget
from approvals.domain.derivation import Candidate
from approvals.domain.usage import UsageCount
from approvals.inspection import Flag
from approvals.models import ActionRequest, CountedRequest
from approvals.proposal import SuppliedEvidence
from approvals.selectors.prior_requests import Earlier, earlier
from approvals.selectors.requests import policy_decision_of
from connectors.base import Preview
from policies.authority import limit_for
from policies.facts import (
    ActionFacts,
    AgentFacts,
    CustomerFacts,
    EvidenceFacts,
    Facts,
    RequesterFacts,
    TimeFacts,
    VelocityFacts,
)
from policies.models import User
from policies.services.rates import is_above, to_base

STALE_AFTER = timedelta(hours=24)
"""An agent's source read longer ago than that is stale."""

_DAY_IN_MILLISECONDS = 24 * 60 * 60 * 1000
"""What the id of a request begins with is counted in those (UUIDv7, RFC 9562)."""

_AUTHORITIES = ("unknown", "external", "internal", "official")
"""Of the agent's sources, from the least trusted; other words mean nothing to us."""


def compute_facts(
    candidate: Candidate,
    preview: Preview,
    *,
    now: datetime,
    before: Before,
    time: TimeFacts,
) -> Facts:
    """Everything rules may ask about this candidate, at this time."""
    return Facts(
        action=_action(candidate, now),
        requester=_requester(candidate),
        agent=_agent(candidate, before, now),
        customer=_customer(preview),
        evidence=_evidence(candidate, preview, now),
        velocity=before.velocity,
        time=time,
    )


@dataclass(frozen=True, slots=True)
class Before:
    """What else was proposed, by the time the candidate is evaluated."""

    velocity: VelocityFacts
    over_budget: bool
    overrides: int
    """How many of the agent's proposals of that kind people rejected or edited in 30 days."""


def read_usage(candidate: Candidate, usage_count: UsageCount, *, now: datetime) -> Before:
    """What came before, by its counters and by the records."""
    found = _earlier(candidate, now=now, asked_at=now)
    own = usage_count.facts(amount_in_base(candidate, now) or 0)
    return _before(candidate, replace(own, duplicates=found.duplicates), found, now=now)


def before_counted(request: ActionRequest, candidate: Candidate, *, now: datetime) -> Before | None:
    """What came before a stored request when it was counted; None where that is not known.

    What it reserved then is its own: whatever was counted later came knowing of it and has its
    own verdict, so it takes nothing away. What people said, and a budget made tighter since,
    count as they are now.
    """
    evaluated = policy_decision_of(request)
    stored = json.loads(evaluated.facts) if evaluated else {}
    names = [f.name for f in fields(VelocityFacts)]
    if any(f"velocity.{name}" not in stored for name in names):
        return None  # from before one of these facts was kept
    velocity = VelocityFacts(**{name: stored[f"velocity.{name}"] for name in names})
    # a rejection since then was given knowing of it, or to whoever answers for approving it
    return _before(
        candidate,
        velocity,
        _earlier(candidate, now=now, asked_at=request.created_at),
        now=now,
        counted=request,
    )


def _earlier(candidate: Candidate, *, now: datetime, asked_at: datetime) -> Earlier:
    return earlier(
        candidate.agent,
        candidate.type.key,
        business_key=candidate.business_key,
        digest=candidate.digest,
        counterparty=candidate.counterparty,
        at=now,
        rejected_until=asked_at,
        but=candidate.request_id,
    )


def _before(
    candidate: Candidate,
    velocity: VelocityFacts,
    found: Earlier,
    *,
    now: datetime,
    counted: ActionRequest | None = None,
) -> Before:
    """`counted` is the stored request whose own number in the counters matters to its budget."""
    base_minor = amount_in_base(candidate, now)
    unknown = candidate.amount is not None and base_minor is None
    velocity = replace(
        velocity,
        rejected_24h=found.rejections,
        first_for_counterparty=not found.has_succeeded,
    )
    over_budget = found.has_budgets and is_over_budget(
        candidate.agent,
        candidate.type.key,
        candidate.target,
        base_minor=None if unknown else base_minor or 0,
        at=now,
        but=candidate.request_id,
        before=_number_of(counted) if counted is not None else None,
    )
    return Before(velocity, over_budget, found.overrides)


def _number_of(request: ActionRequest) -> int | None:
    counted = CountedRequest.objects.filter(request=request)
    return counted.values_list("number", flat=True).first()


def amount_in_base(candidate: Candidate, now: datetime) -> int | None:
    """Its amount in minor units of the base currency; None without money or without a rate."""
    if candidate.amount is None:
        return None
    return to_base(candidate.amount, now.astimezone(UTC).date())


def is_over_ceiling(candidate: Candidate, now: datetime) -> bool | None:
    """Is the amount above the agent's ceiling, by the rates of the day? None: no rate to tell."""
    amount, ceiling = candidate.amount, candidate.agent.ceiling
    if amount is None or ceiling is None:
        return False
    return is_above(amount, ceiling, now.astimezone(UTC).date())


def _action(candidate: Candidate, now: datetime) -> ActionFacts:
    amount, base_minor = candidate.amount, amount_in_base(candidate, now)
    return ActionFacts(
        type=candidate.type.key,
        verb=candidate.type.verb.value,
        system=candidate.type.system,
        reversibility=candidate.type.reversibility.value,
        amount=amount.minor if amount else 0,
        currency=amount.currency if amount else "",
        amount_base=base_minor or 0,
        rate_known=amount is None or base_minor is not None,
        target=candidate.target,
        counterparty=candidate.counterparty,
        data_classes=tuple(sorted(candidate.type.data_classes)),
        is_undo=candidate.is_undo,
        supervised=candidate.type.supervised,
        sample=_sample(candidate, now),
    )


def _sample(candidate: Candidate, now: datetime) -> int:
    """0 to 99, evenly spread, and the same for one kind of action on one target all day.

    Whoever is told that people will look cannot withdraw and draw again, nor work it out before:
    it is keyed, and the day is the one the request was proposed on, whenever it is evaluated.
    """
    born = candidate.request_id.int >> 80 if candidate.request_id else int(now.timestamp() * 1000)
    drawn = f"{candidate.type.key} {candidate.target} {born // _DAY_IN_MILLISECONDS}"
    return (
        int.from_bytes(salted_hmac("approvals.sample", drawn, algorithm="sha256").digest()[:8])
        % 100
    )


def _requester(candidate: Candidate) -> RequesterFacts:
    """The person it is for, and whether they could approve that much themselves.

    Several accounts answer to one spelling when one's name is another's mail address; then every
    one of them must be allowed to.
    """
    name, amount = candidate.on_behalf_of, candidate.amount
    if not name:
        return RequesterFacts()
    accounts = list(User.objects.filter(Q(username__iexact=name) | Q(email__iexact=name)))
    over = False
    for account in accounts if amount else ():
        limit = limit_for(account, candidate.type.key, amount.currency) if amount else None
        covered = limit is not None and amount is not None and amount.minor <= limit.each_minor
        over = over or not account.is_active or not covered
    return RequesterFacts(name=name, known=bool(accounts), over_ceiling=over)


def _agent(candidate: Candidate, before: Before, now: datetime) -> AgentFacts:
    agent = candidate.agent
    return AgentFacts(
        name=agent.name,
        team=agent.team,
        owner=agent.owner.get_username(),
        level=agent.level,
        age_days=(now - agent.created_at).days,
        ceiling=agent.ceiling_minor or 0,
        # money without a rate is never under it
        over_ceiling=is_over_ceiling(candidate, now) is not False,
        over_budget=before.over_budget,
        overrides_30d=before.overrides,
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


def _evidence(candidate: Candidate, preview: Preview, now: datetime) -> EvidenceFacts:
    params = candidate.params
    orderless = "purchase_order" in _properties(candidate) and not params.get("purchase_order")
    stale = {
        source.kind
        for source in candidate.sources
        if source.retrieved_at is not None and source.retrieved_at < now - STALE_AFTER
    }
    return EvidenceFacts(
        kinds=tuple(sorted({e.kind for e in preview.evidence})),
        missing_purchase_order=orderless,
        stale=tuple(sorted(stale)),
        conflicting=Flag.CONTRADICTION in candidate.flags,
        lowest_authority=_lowest(candidate.sources),
        preview_available=not preview.unavailable,
        flags=tuple(flag.value for flag in candidate.flags),
    )


def _lowest(sources: Iterable[SuppliedEvidence]) -> str:
    ranks = [
        _AUTHORITIES.index(word)
        if (word := source.authority.strip().lower()) in _AUTHORITIES
        else 0
        for source in sources
    ]
    return _AUTHORITIES[min(ranks)] if ranks else ""


def _properties(candidate: Candidate) -> frozenset[str]:
    properties = candidate.type.schema.get("properties", {})
    return frozenset(properties) if isinstance(properties, dict) else frozenset()
