"""The landing page: what waits for this person, what went wrong, what happened today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from approvals.admin.concerns import concerns_of
from approvals.selectors import clock
from approvals.selectors.inbox import MOST_COUNTED, teams_of
from approvals.selectors.landing import (
    Hour,
    Posture,
    TeamCounts,
    counts_of,
    last_day,
    posture,
    today,
)
from approvals.selectors.pauses import current_pauses
from approvals.selectors.watching import problems
from policies.models import User

_WATCHERS = frozenset({"auditor", "ops admin"})
_WIDTH, _HEIGHT, _FOOT = 720, 120, 18


@dataclass(frozen=True, slots=True)
class Tile:
    """One number with its name, its tone and where it leads."""

    name: str
    number: str
    url: str
    tone: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One segment of one hour, in the chart's own units."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str


def landing_context(request: HttpRequest) -> dict[str, Any]:
    """What the index page shows to whoever is signed in."""
    user = request.user
    if not isinstance(user, User):
        return {}
    at = clock.now()
    teams = [counts_of(team, at=at) for team in teams_of(user)]
    groups = set(user.groups.values_list("name", flat=True))
    hours = last_day(at=at)
    done = today(at=at)
    return {
        "at": at,
        "concerns": concerns_of(user, groups, at=at),
        "inboxes": [{"team": counts.team, "tiles": _tiles(counts)} for counts in teams],
        "today": [
            Tile("Executed", _capped(done.executed), "", _tone(done.executed)),
            Tile("Allowed by policy alone", _capped(done.allowed), "", _tone(done.allowed)),
        ],
        "chart": {
            "bars": _bars(hours),
            "marks": [(_x(i), f"{hours[i].at:%H:%M}") for i in range(0, len(hours), 6)],
            "width": _WIDTH,
            "height": _HEIGHT + _FOOT,
            "base": _HEIGHT,
            "text_y": _HEIGHT + 14,
            "people": sum(hour.people for hour in hours),
            "allowed": sum(hour.allowed for hour in hours),
            "denied": sum(hour.denied for hour in hours),
        },
        "posture": _posture(user, groups, at),
        "problems": problems() if user.is_active and groups & _WATCHERS else [],
        "paused": current_pauses() if user.is_active and groups & _WATCHERS else [],
        "has_place": bool(teams) or bool(groups),
    }


def _tiles(counts: TeamCounts) -> list[Tile]:
    url = reverse(f"admin:approvals_{counts.team}inbox_changelist")
    return [
        Tile("to decide", _capped(counts.to_decide), url, _tone(counts.to_decide)),
        Tile("due within the hour", _capped(counts.due_soon), url, _tone(counts.due_soon, "warn")),
        Tile(
            "escalated",
            _capped(counts.escalated),
            f"{url}?show=escalated",
            _tone(counts.escalated, "warn"),
        ),
        Tile("waiting for the agent", _capped(counts.waiting), f"{url}?show=waiting",
             _tone(counts.waiting)),
        Tile("incidents", _capped(counts.incidents), f"{url}?show=incidents",
             _tone(counts.incidents, "loud")),
    ]  # fmt: skip


def _posture(user: User, groups: set[str], at: Any) -> Posture | None:
    return posture(at=at) if user.is_active and groups & _WATCHERS else None


def _capped(number: int) -> str:
    return f"{number:,}" if number < MOST_COUNTED else f"{MOST_COUNTED:,}+"


def _tone(number: int, tone: str = "calm") -> str:
    return tone if number else "zero"


def _x(index: int) -> float:
    return index * _WIDTH / 24


def _bars(hours: list[Hour]) -> list[Bar]:
    """Stacked: people below, then allowed, then denied."""
    highest = max((h.people + h.allowed + h.denied for h in hours), default=0) or 1
    bars = []
    for index, hour in enumerate(hours):
        top = float(_HEIGHT)
        for kind, number in (
            ("people", hour.people),
            ("allowed", hour.allowed),
            ("denied", hour.denied),
        ):
            if not number:
                continue
            height = number / highest * (_HEIGHT - 8)
            top -= height
            title = f"{hour.at:%H:%M}: {number} {kind}"
            bars.append(Bar(kind, _x(index) + 3, top, _WIDTH / 24 - 6, height, title))
    return bars
