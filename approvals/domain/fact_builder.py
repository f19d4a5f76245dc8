"""Computing the facts: only from what the system knows, never from what the agent claims."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.crypto import salted_hmac

from approvals.domain.budgets import is_over_budget
from approvals.domain.chains import session_facts, source_classes, with_sources
from approvals.domain.derivation import Candidate
from approvals.domain.triggers import triggers_on
from approvals.domain.usage import UsageCount
from approvals.inspection import Flag
from approvals.models import ActionRequest, CountedRequest
from approvals.proposal import SuppliedEvidence
from approvals.selectors.chains import Links, links_of
from approvals.selectors.evidence_gaps import Held, derived_kinds
from approvals.selectors.prior_requests import NOBODY, Earlier, earlier, earlier_asked
from approvals.selectors.requests import policy_decision_of
from audit.lib.canonical import JsonObject, canonical
from audit.lib.money import Money
from audit.lib.prepared import Question
from connectors.base import Preview
from policies.authority import limit_for
from policies.facts import (
    ActionFacts,
    AgentFacts,
    Case,
    CustomerFacts,
    EvidenceFacts,
    Facts,
    ModelFacts,
    RequesterFacts,
    SessionFacts,
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
        action=_action(candidate, before, now),
        requester=_requester(candidate, before, now),
        agent=_agent(candidate, before, now),
        model=_model(candidate),
        customer=_customer(preview),
        evidence=_evidence(candidate, preview, now),
        velocity=before.velocity,
        session=before.session,
        plan=candidate.plan,
        time=time,
        case=Case(
            params=candidate.params,  # whole, whatever its size: or padding it would avoid a denial
            before=None if preview.unavailable else _if_small(preview.before),
            after=None if preview.unavailable else _if_small(preview.after),
            target=None if preview.unavailable else _if_small(preview.offered),
        ),
    )


LARGEST_PART = 512 * 1024
"""Bytes of JSON: twice what a whole proposal may have. What a target shows beyond it is unknown."""


def _if_small(part: JsonObject) -> JsonObject | None:
    return part if len(canonical(part).encode()) <= LARGEST_PART else None


@dataclass(frozen=True, slots=True)
class Before:
    """What else was proposed, by the time the candidate is evaluated."""

    velocity: VelocityFacts
    over_budget: bool
    overrides: int
    """The agent's proposals of that kind that people rejected or edited in 30 days."""
    session: SessionFacts = field(default_factory=SessionFacts)
    chain: str = ""
    """The requests it is judged together with."""
    triggers: tuple[str, ...] = ()
    subjects: frozenset[str] = frozenset()
    """On whose behalf the agent proposed before in the same session."""


def read_usage(candidate: Candidate, usage_count: UsageCount, *, now: datetime) -> Before:
    """What came before, by its counters and by the records."""
    found = earlier(before_asked(candidate, now=now))
    own_base = amount_in_base(candidate, now) or 0
    velocity = replace(usage_count.facts(own_base), duplicates=found.duplicates)
    # what names no session goes on with the last one: nobody leaves one by leaving it out
    chain = candidate.chain or ("" if candidate.is_undo else found.last_chain)
    own, plan = candidate.request_id or NOBODY, candidate.plan_id or NOBODY
    links = links_of(chain, but=own, plan=plan) if chain else Links()
    return replace(
        _before(candidate, velocity, found, now=now),
        session=session_facts(candidate, links, named=bool(chain), own_base=own_base),
        chain=chain,
        subjects=links.subjects,
    )


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
    before = _before(
        candidate,
        velocity,
        earlier(before_asked(candidate, now=now, rejected_until=request.created_at)),
        now=now,
        counted=request,
    )
    return replace(before, session=_session_as_counted(candidate, stored))


def _session_as_counted(candidate: Candidate, stored: Mapping[str, Any]) -> SessionFacts:
    """Its session as it was then, and what its agent says it has read since."""
    kept = {
        name: stored[f"session.{name}"] for name in _OF_A_SESSION if f"session.{name}" in stored
    }
    kept |= {name: tuple(kept[name]) for name in ("systems", "sources") if name in kept}
    return with_sources(
        SessionFacts(**kept), source_classes(source.authority for source in candidate.sources)
    )


_OF_A_SESSION = tuple(one.name for one in fields(SessionFacts))


def before_asked(
    candidate: Candidate, *, now: datetime, rejected_until: datetime | None = None
) -> Question:
    """What `read_usage` asks about others like a candidate."""
    return earlier_asked(
        candidate.agent,
        candidate.type.key,
        business_key=candidate.business_key,
        digest=candidate.digest,
        counterparty=candidate.counterparty,
        at=now,
        rejected_until=rejected_until or now,
        but=candidate.request_id,
    )


def before_counted_asked(request: ActionRequest, *, now: datetime) -> Question:
    """What `before_counted` asks about a request that is as its columns say."""
    return earlier_asked(
        request.agent,
        request.action_type,
        business_key=request.business_key,
        digest=request.digest,
        counterparty=request.counterparty,
        at=now,
        rejected_until=request.created_at,
        but=request.pk,
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
    return Before(velocity, over_budget, found.overrides, triggers=triggers_on(candidate))


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


def _action(candidate: Candidate, before: Before, now: datetime) -> ActionFacts:
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
        execution=candidate.type.execution.value,
        sample=_sample(candidate, now),
        triggers=before.triggers,
    )


def _sample(candidate: Candidate, now: datetime) -> int:
    """0 to 99, evenly spread, and the same for one kind of action on one target all day.

    Whoever is told that people will look cannot withdraw and draw again, nor work it out before:
    it is keyed, and the day is the one the request was proposed on, whenever it is evaluated.
    """
    born = candidate.request_id.int >> 80 if candidate.request_id else int(now.timestamp() * 1000)
    drawn = f"{candidate.type.key} {candidate.target} {born // _DAY_IN_MILLISECONDS}"
    keyed = salted_hmac("approvals.sample", drawn, algorithm="sha256").digest()
    return int.from_bytes(keyed[:8]) % 100


def _requester(candidate: Candidate, before: Before, now: datetime) -> RequesterFacts:
    """The person it is for, and whether they could approve that much themselves.

    Nobody borrows authority by naming nobody, or somebody we do not know: then it must be within
    the agent's own ceiling, and within what everybody could approve whom it named before in the
    session. An agent without a ceiling has no authority of its own.
    """
    name, amount = candidate.on_behalf_of, candidate.amount
    accounts = _accounts([name]) if name else []
    if amount is None:
        return RequesterFacts(name=name, known=bool(accounts))
    lending = accounts or (_accounts(before.subjects) if before.subjects else [])
    over = any(not _may_approve(account, candidate.type.key, amount) for account in lending)
    if not accounts:
        own = candidate.agent.ceiling
        over = over or own is None or is_over_ceiling(candidate, now) is not False
    return RequesterFacts(name=name, known=bool(accounts), over_ceiling=over)


def _accounts(names: Iterable[str]) -> list[User]:
    """Everybody these names may mean.

    Several accounts answer to one spelling when one's name is another's mail address; then every
    one of them must be allowed to.
    """
    spelt = Q()
    for name in names:
        spelt |= Q(username__iexact=name) | Q(email__iexact=name)
    return list(User.objects.filter(spelt))


def _may_approve(account: User, action_type: str, amount: Money) -> bool:
    limit = limit_for(account, action_type, amount.currency)
    return account.is_active and limit is not None and amount.minor <= limit.each_minor


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
        signed=candidate.signed,
    )


def _model(candidate: Candidate) -> ModelFacts:
    named, registered = candidate.model.get("id", ""), candidate.agent.model
    return ModelFacts(
        id=named,
        prompt_version=candidate.model.get("prompt_version", ""),
        differs=bool(named and registered) and named != registered,
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
    derived = derived_kinds(
        candidate.type,
        after=preview.after,
        unavailable=preview.unavailable,
        rate_known=candidate.amount is None or amount_in_base(candidate, now) is not None,
        is_undo=candidate.is_undo,
    )
    return EvidenceFacts(
        kinds=tuple(sorted({e.kind for e in preview.evidence} | derived)),
        from_people=tuple(sorted(candidate.from_people)),
        supplied=tuple(sorted(candidate.supplied)),
        missing_purchase_order=orderless,
        stale=tuple(sorted(stale)),
        conflicting=Flag.CONTRADICTION in candidate.flags,
        lowest_authority=_lowest(candidate.sources),
        preview_available=not preview.unavailable,
        flags=tuple(flag.value for flag in candidate.flags),
    )


def evidence_held(candidate: Candidate, facts: Facts, *, now: datetime) -> Held:
    """The evidence there is for a candidate whose target has just been read."""
    return Held(
        read=dict.fromkeys(facts.evidence.kinds, now),
        from_people={kind: when or now for kind, when in candidate.from_people.items()},
        supplied={kind: when or now for kind, when in candidate.supplied.items()},
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
