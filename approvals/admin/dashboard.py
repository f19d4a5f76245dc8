"""The landing page: what waits for this person, what went wrong, what happened today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from approvals.admin.pauses import stop_offered
from approvals.selectors.break_glass import overdue_reviews, unreviewed
from approvals.selectors.dashboard import (
    Hour,
    Posture,
    TeamCounts,
    counts_of,
    last_day,
    posture,
    today,
)
from approvals.selectors.inbox import MOST_COUNTED, inbox_name, inboxes_of
from approvals.selectors.pauses import current_pauses, stops_in_force
from approvals.selectors.restores import freeze_in_force
from approvals.selectors.triggers import sent_to_people
from approvals.selectors.watching import problems
from audit.lib import db_clock
from audit.lib.dates import format_time
from policies.authority import (
    answers_for_policy,
    is_ops_admin,
    is_shown_break_glass,
    roles_of,
    watches_operations,
)
from policies.models import AuthorityChange, PolicyVersion, User
from policies.models.authority import ChangeStatus
from policies.models.versions import VersionStatus
from policies.services.publishable import involvement_in
from policies.services.rates import outdated_currencies
from policies.services.upgrades import why_unreadable
from policies.team_names import person_in

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
    at = db_clock.now_of_page()
    inboxes = counts_of(inboxes_of(user), viewer=user, at=at)
    shown = [one for one in inboxes if one.is_anything or not person_in(one.team)]
    roles = roles_of(user)
    hours = last_day(at=at)
    done = today(at=at)
    return {
        "at": at,
        "concerns": concerns_of(user, roles, at=at),
        "inboxes": [
            {"name": inbox_name(one.team, viewer=user), "tiles": _tiles(one)} for one in shown
        ],
        "today": [
            Tile("Executed", _capped(done.executed), "", _tone(done.executed)),
            Tile("Allowed by policy alone", _capped(done.allowed), "", _tone(done.allowed)),
        ],
        "chart": {
            "bars": _bars(hours),
            "marks": [(_x(i), format_time(hours[i].at)) for i in range(0, len(hours), 6)],
            "width": _WIDTH,
            "height": _HEIGHT + _FOOT,
            "base": _HEIGHT,
            "text_y": _HEIGHT + 14,
            "people": sum(hour.people for hour in hours),
            "allowed": sum(hour.allowed for hour in hours),
            "denied": sum(hour.denied for hour in hours),
        },
        "posture": _posture(user, roles, at),
        "problems": problems() if user.is_active and watches_operations(roles) else [],
        "paused": current_pauses() if user.is_active and watches_operations(roles) else [],
        "stop": stop_offered(request),
        "has_place": bool(shown) or bool(roles),
    }


def _tiles(counts: TeamCounts) -> list[Tile]:
    url = reverse("admin:inbox", args=[counts.team])
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


def _posture(user: User, roles: frozenset[str], at: Any) -> Posture | None:
    return posture(at=at) if user.is_active and watches_operations(roles) else None


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
            title = f"{format_time(hour.at)}: {number} {kind}"
            bars.append(Bar(kind, _x(index) + 3, top, _WIDTH / 24 - 6, height, title))
    return bars


def stylesheet(request: HttpRequest) -> str:
    return static("approvals/countersign.css")


def favicon(request: HttpRequest) -> str:
    return static("approvals/favicon.svg")


def script(request: HttpRequest) -> str:
    return static("approvals/clock.js")


def live_script(request: HttpRequest) -> str:
    return static("approvals/live.js")


def keys_script(request: HttpRequest) -> str:
    return static("approvals/keys.js")


_MOST_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that waits: what, and the page where one does something about it."""

    text: str
    url: str


def concerns_of(user: User, roles: frozenset[str], *, at: datetime) -> list[Concern]:
    """Only what concerns the roles this person has; nothing for anybody else."""
    if not user.is_active:
        return []
    found: list[Concern] = []
    if answers_for_policy(roles):
        found += [*_unreadable_policy(), *_versions(user)]
    if is_ops_admin(roles):
        found += [*_restore(), *_changes(user, at), *_stops(), *_triggered(), *_rates(at)]
    if is_shown_break_glass(roles):
        found += _emergencies(user, at)
    return found


def _unreadable_policy() -> list[Concern]:
    problem = why_unreadable()
    if not problem:
        return []
    text = f"{problem} Until a readable version is published, people decide everything at tier 5."
    return [Concern(text, reverse("admin:policies_policyversion_changelist"))]


def _versions(user: User) -> list[Concern]:
    proposed = PolicyVersion.objects.filter(status=VersionStatus.PROPOSED).order_by("pk")
    found = []
    for version in proposed.defer("document")[:_MOST_VERSIONS]:
        whom = "a colleague to" if involvement_in(version, user) else "you to look at it and"
        text = f"Policy {version.label} waits for {whom} publish it."
        url = reverse("admin:policies_policyversion_change", args=[version.pk])
        found.append(Concern(text, url))
    return found


def _changes(user: User, at: datetime) -> list[Concern]:
    waiting = AuthorityChange.objects.filter(status=ChangeStatus.WAITING, lapses_at__gt=at)
    rows = list(waiting.values_list("proposed_by__person", "beneficiary"))
    for_others = sum(user.person in row for row in rows)
    for_you = len(rows) - for_others
    found = []
    if for_you:
        found.append(f"{_number(for_you, 'change')} of authority {_wait(for_you)} for your answer.")
    if for_others:
        found.append(
            f"{_number(for_others, 'change')} of authority {_wait(for_others)} for another "
            "ops admin: you proposed it, or it is about you."
        )
    url = reverse("admin:policies_authoritychange_changelist")
    return [Concern(text, f"{url}?status={ChangeStatus.WAITING}") for text in found]


def _restore() -> list[Concern]:
    freeze = freeze_in_force()
    if freeze is None:
        return []
    text = "Restored from a backup: nothing runs until it is known what was done before."
    return [Concern(text, reverse("admin:approvals_pause_change", args=[freeze.pk]))]


def _stops() -> list[Concern]:
    stops = [stop for stop in stops_in_force() if not stop.is_restore]
    by_page = (
        ("approvals_pause", "an ops admin lifts it", [s.what for s in stops if not s.is_agent]),
        ("approvals_agent", "somebody lets it go on", [s.what for s in stops if s.is_agent]),
    )
    return [
        Concern(f"Paused until {until}: {', '.join(names)}.", reverse(f"admin:{page}_changelist"))
        for page, until, names in by_page
        if names
    ]


def _triggered() -> list[Concern]:
    """What a trigger paused is told with the pauses."""
    keys = sent_to_people()
    if not keys:
        return []
    text = f"Since a trigger fired, people look at everything of: {', '.join(keys)}."
    return [Concern(text, reverse("admin:approvals_firedtrigger_changelist"))]


def _rates(at: datetime) -> list[Concern]:
    outdated = outdated_currencies(at.date())
    if not outdated:
        return []
    which = ", ".join(outdated)
    text = f"Exchange rates too old to use: {which}. People decide money in them until new ones."
    return [Concern(text, reverse("admin:policies_exchangerate_changelist"))]


def _emergencies(user: User, at: datetime) -> list[Concern]:
    number = unreviewed(user)
    if not number:
        return []
    late = overdue_reviews(at)
    text = f"{_number(number, 'emergency approval')} {_wait(number)} for review"
    text += f", {late} of them overdue." if late else "."
    return [Concern(text, reverse("admin:approvals_breakglass_changelist"))]


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _wait(count: int) -> str:
    return "waits" if count == 1 else "wait"
