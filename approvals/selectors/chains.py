"""What else belongs to a request's chain: the requests of one session of one agent.

A chain goes by agent and session alone. Whom a proposal names, or names no more, changes nothing
about what its agent has done and read in that session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    Exists,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce

from approvals.choices import DONE, ENDED_WITHOUT_EFFECT, INCIDENTS, Origin, State
from approvals.inspection import reveal
from approvals.models import ActionRequest, Agent, EvidenceItem
from audit.lib.canonical import digest_of
from audit.lib.prepared import Given, Prepared

LEFT_OUT = timedelta(hours=1)
"""So long a proposal that names no session belongs to the last one its agent named."""

_AHEAD, _ENDED, _WAITING, _SOURCE, _STEP = "ahead", "ended", "waiting", "source", "step"
_HAS_RUN = DONE | INCIDENTS | {State.EXECUTING, State.RESOLVED, State.COMPENSATED}
_WENT_AHEAD = _HAS_RUN | {State.APPROVED}


@dataclass(frozen=True, slots=True)
class Links:
    """What the other requests of a chain come to."""

    count: int = 0
    sum_base: int = 0
    """Without what ended without effect, as everything here but the last three."""
    highest_tier: int = 0
    """Without the steps of the request's own plan, which are judged together anyhow."""
    systems: frozenset[str] = frozenset()
    systems_outside_plan: frozenset[str] = frozenset()
    """The same."""
    systems_ahead: frozenset[str] = frozenset()
    """Of those that were approved, or allowed without a person."""
    subjects: frozenset[str] = frozenset()
    """On whose behalf, as the agent named them."""
    authorities: frozenset[str] = frozenset()
    """What it said its sources are worth, in its own words."""
    some_without_sources: bool = False


def chain_key(agent: Agent, session: str) -> str:
    """The chain of a session; none without one."""
    return digest_of({"agent": agent.pk, "session": session}) if session else ""


def last_named() -> QuerySet[ActionRequest]:
    """The newest request of `agent` since `hour_ago_id` that names a session."""
    named = ActionRequest.objects.filter(agent=Given("agent"), id__gte=Given("hour_ago_id"))
    return named.exclude(session="").exclude(pk=Given("but")).order_by("-id")


def links_of(chain: str, *, but: UUID, plan: UUID) -> Links:
    """What the others of the chain come to, in one statement. `plan` is the request's own."""
    groups, authorities = [], set()
    for row in _LINKS.all(chain=chain, but=but, plan=plan):
        if row[0] == _SOURCE:
            authorities.add(row[1])
        else:
            groups.append(row)
    live = [row for row in groups if row[0] != _ENDED]
    outside_plan = [row for row in live if row[0] != _STEP]
    return Links(
        count=sum(row[4] for row in live),
        sum_base=sum(row[5] for row in live),
        highest_tier=max((row[6] for row in outside_plan), default=0),
        systems=frozenset(row[1] for row in live),
        systems_outside_plan=frozenset(row[1] for row in outside_plan),
        systems_ahead=frozenset(row[1] for row in live if row[0] == _AHEAD),
        subjects=frozenset(row[2] for row in groups if row[2]),
        authorities=frozenset(authorities),
        some_without_sources=any(not row[3] for row in groups),
    )


@dataclass(frozen=True, slots=True)
class InSession:
    """Another request of the same session, as people are shown it."""

    pk: UUID
    effect: str
    state: str
    has_run: bool
    tier: int | None
    at: datetime


def others_in_session(request: ActionRequest, most: int = 10) -> tuple[InSession, ...]:
    """The others of the request's chain, those that ran first, each time the newest first."""
    if not request.chain:
        return ()
    others = ActionRequest.objects.filter(chain=request.chain).exclude(pk=request.pk)
    others = others.exclude(chain="").annotate(has_run=Q(state__in=sorted(_HAS_RUN)))
    return tuple(
        InSession(
            other.pk,
            reveal(other.effect),
            other.get_state_display(),
            bool(other.has_run),
            other.risk_tier,
            other.created_at,
        )
        for other in others.order_by("-has_run", "-id")[:most]
    )


def _links() -> QuerySet[ActionRequest, tuple[str, str, str, int, int, int, int]]:
    """A row for each kind of request in the chain, and one for each word about its sources."""
    ours = ActionRequest.objects.filter(chain=Given("chain")).exclude(chain="")
    others = ours.exclude(pk=Given("but")).order_by()
    supplied = EvidenceItem.objects.filter(origin=Origin.AGENT).order_by()
    requests = (
        others.annotate(
            what=Case(
                When(state__in=sorted(ENDED_WITHOUT_EFFECT), then=Value(_ENDED)),
                When(plan=Given("plan"), then=Value(_STEP)),
                When(state__in=sorted(_WENT_AHEAD), then=Value(_AHEAD)),
                default=Value(_WAITING),
                output_field=CharField(),
            ),
            sources=Case(
                When(Exists(supplied.filter(request=OuterRef("pk"))), then=Value(1)),
                default=Value(0),
                output_field=IntegerField(),
            ),
        )
        .values("what", "system", "on_behalf_of", "sources")
        .annotate(
            count=Count("pk"),
            sum_base=Cast(Coalesce(Sum("amount_base"), 0), BigIntegerField()),
            highest=Coalesce(Max("risk_tier"), 0),
        )
    )
    named = supplied.filter(request__in=others.values("pk")).distinct()
    words = named.values_list(
        Value(_SOURCE, output_field=CharField()),
        "authority",
        Value("", output_field=CharField()),
        *(Value(0, output_field=IntegerField()) for _ in range(4)),
    )
    columns = ("what", "system", "on_behalf_of", "sources", "count", "sum_base", "highest")
    both: QuerySet[ActionRequest, tuple[str, str, str, int, int, int, int]] = requests.values_list(
        *columns
    ).union(words, all=True)
    return both


_LINKS = Prepared(_links)
