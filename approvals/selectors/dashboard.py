"""The counts of the landing page: capped, and a few seconds old where nobody decides by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from approvals.choices import State
from approvals.models import ActionRequest, Agent, BreakGlass
from approvals.selectors.break_glass import overdue_reviews
from approvals.selectors.inbox import (
    ESCALATED,
    MOST_COUNTED,
    NEEDS_CLOSING,
    WAITING,
    capped,
    incidents,
)
from approvals.selectors.inbox_counts import (
    KEPT_SECONDS,
    all_capped,
    counted,
    counted_due,
    counted_for,
)
from approvals.selectors.prior_requests import CountOf
from audit.events import AuditCode
from audit.lib import db_clock
from audit.models import AuditEvent
from audit.selectors import events_since_hour
from policies.models import AuthorityChange, PolicyVersion, User
from policies.models.authority import ChangeStatus
from policies.models.versions import VersionKind, VersionStatus
from policies.verdicts import HIGHEST_TIER

_KEPT_SECONDS = 30
_HOURS = 24
_FIRST = 300
_PEOPLE = (AuditCode.APPROVED, AuditCode.REJECTED)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TeamCounts:
    """What one inbox holds, as far as MOST_COUNTED."""

    team: str
    to_decide: int
    due_soon: int
    escalated: int
    waiting: int
    incidents: int

    @property
    def is_anything(self) -> bool:
        return any((self.to_decide, self.escalated, self.waiting, self.incidents))


@dataclass(frozen=True, slots=True)
class Today:
    """What happened since midnight, by the trail."""

    executed: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the chart."""

    at: datetime
    people: int
    allowed: int
    denied: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest pending request of one tier."""

    tier: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Posture:
    """How the house stands, for those who keep and check it."""

    policy: str
    oldest: tuple[Waiting, ...]
    incidents: int
    paused_agents: tuple[str, ...]
    last_event_at: datetime | None
    emergencies: int = 0
    """Break-glass approvals nobody has reviewed, and of that what is overdue."""
    emergencies_overdue: int = 0
    changes_waiting: int = 0
    """Changes of authority that wait for a second person."""


def counts_of(teams: Sequence[str], *, viewer: User, at: datetime) -> list[TeamCounts]:
    """The counts of these teams' inboxes, some seconds old, in one statement."""
    name = f"{viewer.pk}:{','.join(teams)}"
    return _kept(name, lambda: _counts_of(teams, viewer, at), seconds=KEPT_SECONDS)


def _counts_of(teams: Sequence[str], viewer: User, at: datetime) -> list[TeamCounts]:
    asked: dict[str, CountOf] = {}
    for team in teams:
        asked[f"{team} to_decide"] = counted_for(viewer, team, at=at)
        asked[f"{team} due_soon"] = counted_due(team, until=at + timedelta(hours=1))
        asked[f"{team} escalated"] = counted(team, ESCALATED, at=at)
        asked[f"{team} waiting"] = counted(team, WAITING, at=at)
        asked[f"{team} incidents"] = counted(team, NEEDS_CLOSING, at=at)
    counts = all_capped(asked, viewer=viewer) if asked else {}
    return [
        TeamCounts(
            team=team,
            to_decide=counts[f"{team} to_decide"],
            due_soon=counts[f"{team} due_soon"],
            escalated=counts[f"{team} escalated"],
            waiting=counts[f"{team} waiting"],
            incidents=counts[f"{team} incidents"],
        )
        for team in teams
    ]


def today(*, at: datetime) -> Today:
    """Since midnight where the company is: everybody reads the same numbers."""
    here = timezone.localtime(at, timezone.get_default_timezone())
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)

    def count(code: AuditCode) -> int:
        events = events_since_hour(midnight).filter(code=code)
        return events.order_by()[:MOST_COUNTED].count()

    return _kept("today", lambda: Today(count(AuditCode.EXECUTED), count(AuditCode.ALLOWED)))


def last_day(*, at: datetime) -> list[Hour]:
    """The last 24 hours, oldest first: decided by people, allowed, denied."""
    return _kept("last-day", lambda: _last_day(at))


def posture(*, at: datetime) -> Posture:
    """For auditors and ops admins."""
    return _kept("posture", _posture)


def _last_day(at: datetime) -> list[Hour]:
    this_hour = at.replace(minute=0, second=0, microsecond=0)
    hours = [this_hour - timedelta(hours=back) for back in range(_HOURS - 1, -1, -1)]
    found = (
        events_since_hour(hours[0])
        .filter(code__in=[*_PEOPLE, AuditCode.ALLOWED, AuditCode.DENIED])
        .order_by()
        .values_list("hour", "code")
        .annotate(number=Count("id"))
    )
    numbers: dict[tuple[datetime, str], int] = {(h, c): n for h, c, n in found}
    return [
        Hour(
            at=hour,
            people=sum(numbers.get((hour, code.value), 0) for code in _PEOPLE),
            allowed=numbers.get((hour, AuditCode.ALLOWED.value), 0),
            denied=numbers.get((hour, AuditCode.DENIED.value), 0),
        )
        for hour in hours
    ]


def _oldest() -> list[Waiting]:
    """Of each tier the pending request that was made first.

    The first few hundred of all hold those of every tier that is not rare; a rare one is found by
    its tier. One question for each tier would read all that has ended before it.
    """
    pending = ActionRequest.objects.filter(state=State.PENDING_APPROVAL).order_by("id")
    first = ActionRequest.objects.filter(pk__in=pending.values("pk")[:_FIRST]).order_by("-id")
    found: dict[int | None, datetime] = dict(first.values_list("risk_tier", "created_at"))
    for tier in {*range(HIGHEST_TIER + 1)} - found.keys():
        since = pending.filter(risk_tier=tier).values_list("created_at", flat=True).first()
        if since is not None:
            found[tier] = since
    return [Waiting(tier, since) for tier, since in sorted(found.items()) if tier is not None]


def _posture() -> Posture:
    published = PolicyVersion.objects.filter(
        status=VersionStatus.PUBLISHED, kind=VersionKind.ORDINARY
    )
    paused = Agent.objects.filter(paused_at__isnull=False).order_by("name")
    return Posture(
        policy=published.values_list("label", flat=True).first() or "",
        oldest=tuple(_oldest()),
        incidents=capped(incidents(db_clock.now(), ActionRequest.objects.all())),
        paused_agents=tuple(paused.values_list("name", flat=True)[:20]),
        emergencies=BreakGlass.objects.filter(reviewed_at=None).count(),
        emergencies_overdue=overdue_reviews(db_clock.now()),
        changes_waiting=AuthorityChange.objects.filter(status=ChangeStatus.WAITING).count(),
        last_event_at=AuditEvent.objects.order_by("-id").values_list("at", flat=True).first(),
    )


def _kept(name: str, read: Callable[[], T], *, seconds: int = _KEPT_SECONDS) -> T:
    """The value for half a minute: a landing page is opened more often than it changes."""
    found: T | None = cache.get(f"landing:{name}")
    if found is None:
        found = read()
        cache.set(f"landing:{name}", found, seconds)
    return found
