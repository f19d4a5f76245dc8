"""What waits for risk owners, ops admins and reviewers of emergencies: a plain line each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from approvals.selectors.glass import overdue_reviews, unreviewed
from approvals.selectors.pauses import stops_in_force
from approvals.selectors.restores import freeze_in_force
from policies.models import AuthorityChange, PolicyVersion, User
from policies.models.authority import ChangeStatus
from policies.models.versions import VersionStatus
from policies.roles import CONFIGURING_ROLE, GLASS_REVIEWERS, RISK_OWNER
from policies.services.publishable import hand_in
from policies.services.rates import outdated_currencies
from policies.services.upgrades import why_unreadable

_MOST_VERSIONS = 5


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that waits: what, and the page where one does something about it."""

    text: str
    url: str


def concerns_of(user: User, groups: set[str], *, at: datetime) -> list[Concern]:
    """Only what concerns the roles this person has; nothing for anybody else."""
    if not user.is_active:
        return []
    found: list[Concern] = []
    if groups & {RISK_OWNER, CONFIGURING_ROLE}:
        found += [*_unreadable_policy(), *_versions(user)]
    if CONFIGURING_ROLE in groups:
        found += [*_restore(), *_changes(user, at), *_stops(), *_rates(at)]
    if groups & {CONFIGURING_ROLE, *GLASS_REVIEWERS}:
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
        whom = "a colleague to" if hand_in(version, user) else "you to look at it and"
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
