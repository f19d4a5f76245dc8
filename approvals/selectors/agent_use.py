"""How an agent is used: what became of what it proposed, with which models, by which keys.

Everything is read from the newest requests of the agent, as many as MOST_READ: numbers of an agent
that proposes more are of those, and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Least

from approvals.choices import DONE, INCIDENTS, State
from approvals.models import ActionRequest, Agent, AgentKey, PolicyDecision, WorkloadIdentity
from approvals.selectors.evidence_view import stored_json
from approvals.selectors.prior_requests import first_id_at
from policies.verdicts import Verdict

MOST_READ = 2000
MODELS_OF = 200
"""Of so many of the newest requests the models are told."""
SOON = timedelta(days=14)
"""A key that ends within it is about to."""
WINDOWS = (timedelta(days=7), timedelta(days=30))

_APPLIED = DONE | {State.COMPENSATED}
_ERRORS = INCIDENTS | {State.FAILED, State.RESOLVED}


@dataclass(frozen=True, slots=True)
class Use:
    """What became of the requests of some days."""

    days: int
    proposed: int
    allowed: int  # by policy, without people
    denied: int  # by policy
    rejected: int
    approved: int  # by people, whatever came of it
    done: int
    errors: int  # failed, unknown, not verified, or found out by a person

    @property
    def is_partial(self) -> bool:
        """There are more than were counted."""
        return self.proposed > MOST_READ

    @property
    def rejection_percent(self) -> int | None:
        """Of what people decided; None where they decided nothing."""
        return _percent(self.rejected, self.rejected + self.approved)

    @property
    def error_percent(self) -> int | None:
        """Of what was carried out or tried; None for nothing."""
        return _percent(self.errors, self.errors + self.done)


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """A model and the version of its prompt, as the agent names them."""

    model: str
    prompt_version: str
    count: int
    differs: bool
    """It is not the model the agent was registered with."""

    @property
    def is_undeclared(self) -> bool:
        return not self.model or not self.prompt_version


@dataclass(frozen=True, slots=True)
class AgentUse:
    """What its page says of an agent's last days."""

    windows: tuple[Use, ...]
    models: tuple[ModelInUse, ...]
    models_of: int
    last_seen_at: datetime | None
    last_proposed_at: datetime | None
    keys_ending: tuple[AgentKey, ...]
    """Those that stop working soon."""
    most_read: int = MOST_READ

    @property
    def has_undeclared(self) -> bool:
        return any(one.is_undeclared for one in self.models)


def use_of(
    agent: Agent,
    keys: Iterable[AgentKey],
    identities: Iterable[WorkloadIdentity] = (),
    *,
    at: datetime,
) -> AgentUse:
    """Read in four statements, however much it has proposed."""
    keys = list(keys)
    used = [key.last_used_at for key in keys] + [one.last_used_at for one in identities]
    newest = _of(agent).order_by("-id")
    ids = list(newest.values_list("pk", "created_at")[:MODELS_OF])
    models = _models([pk for pk, _ in ids])
    return AgentUse(
        windows=_windows(newest, at),
        models=models,
        models_of=sum(one.count for one in models),
        last_seen_at=max(filter(None, used), default=None),
        last_proposed_at=ids[0][1] if ids else None,
        keys_ending=tuple(key for key in keys if key.works(at) and key.ends_at <= at + SOON),
    )


def with_keys(agents: QuerySet[Agent], *, at: datetime) -> QuerySet[Agent]:
    """Each with `key_seen_at` and `token_seen_at`; `works_until`, when the last of its keys that
    work ends; and `has_tokens`: it signs in with tokens of some issuer.
    """
    keys = AgentKey.objects.filter(agent=OuterRef("pk")).order_by()
    ends = Least("expires_at", Coalesce("replaced_until", "expires_at"))
    working = keys.filter(revoked_at=None).annotate(ends=ends).filter(ends__gt=at)
    identities = WorkloadIdentity.objects.filter(agent=OuterRef("pk")).order_by()
    return agents.annotate(
        key_seen_at=Subquery(_last_used(keys)),
        token_seen_at=Subquery(_last_used(identities)),
        has_tokens=Exists(identities.filter(removed_at=None)),
        works_until=Subquery(working.order_by(F("ends").desc()).values("ends")[:1]),
    )


def _last_used(credentials: QuerySet[Any]) -> QuerySet[Any]:
    used = credentials.exclude(last_used_at=None).order_by("-last_used_at")
    return used.values("last_used_at")[:1]


def _of(agent: Agent) -> QuerySet[ActionRequest]:
    return ActionRequest.objects.filter(agent=agent)


def _windows(newest: QuerySet[ActionRequest], at: datetime) -> tuple[Use, ...]:
    first = first_id_at(at - max(WINDOWS))
    by_people = Q(verdict=Verdict.REQUIRE_APPROVAL.value)
    came_through = _APPLIED | _ERRORS | {State.APPROVED, State.EXECUTING}
    kinds = {
        "proposed": Q(),
        "allowed": Q(verdict=Verdict.ALLOW.value),
        "denied": Q(state=State.DENIED),
        "rejected": Q(state=State.REJECTED),
        "approved": by_people & Q(state__in=sorted(came_through)),
        "done": Q(state__in=sorted(_APPLIED)),
        "errors": Q(state__in=sorted(_ERRORS)),
    }
    asked = {
        f"{name}_{window.days}": Count("pk", filter=which & Q(pk__gte=first_id_at(at - window)))
        for window in WINDOWS
        for name, which in kinds.items()
    }
    read = newest.filter(pk__gte=first)[: MOST_READ + 1]
    counted = read.aggregate(**asked)
    return tuple(
        Use(
            days=window.days,
            **{name: counted[f"{name}_{window.days}"] for name in kinds},
        )
        for window in WINDOWS
    )


def _models(ids: list[UUID]) -> tuple[ModelInUse, ...]:
    decisions = PolicyDecision.objects.filter(
        request__in=ids, purpose=PolicyDecision.Purpose.INTAKE
    ).order_by()
    named: Counter[tuple[str, str, bool]] = Counter()
    for facts in decisions.values_list("facts", flat=True):
        told = stored_json(facts)
        model, prompt = told.get("model.id", ""), told.get("model.prompt_version", "")
        named[str(model), str(prompt), bool(told.get("model.differs"))] += 1
    return tuple(
        ModelInUse(model, prompt, count, differs)
        for (model, prompt, differs), count in named.most_common(10)
    )


def _percent(part: int, whole: int) -> int | None:
    return round(100 * part / whole) if whole else None
