"""The views of an inbox a person has given names: which there are, and what may be in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.core.cache import cache

from approvals.models import SavedView
from approvals.selectors.inbox import TO_DECIDE, VIEWS
from connectors.registry import action_types
from policies.models import User
from policies.teams import team_choices
from policies.verdicts import HIGHEST_TIER

LONGEST_SEARCH = 200
_KEPT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class SavedViewShown:
    """One of the viewer's own, as a link of their inbox."""

    pk: int
    name: str
    query: str
    is_current: bool


def saved_views_of(user: User, team: str, *, current: str) -> tuple[SavedViewShown, ...]:
    """Theirs for this inbox, by name; `current` is the query of the page that is open."""
    found: list[tuple[int, str, str]] | None = cache.get(_key(user, team))
    if found is None:
        rows = SavedView.objects.filter(user=user, team=team).order_by("name", "id")
        found = list(rows.values_list("pk", "name", "query"))
        cache.set(_key(user, team), found, _KEPT_SECONDS)
    return tuple(SavedViewShown(pk, name, query, query == current) for pk, name, query in found)


def forget_saved_views(user: User, team: str) -> None:
    """Read them anew for who has just changed them."""
    cache.delete(_key(user, team))


def _key(user: User, team: str) -> str:
    return f"saved-views:{team}:{user.pk}"


def query_of(asked: Mapping[str, str]) -> str:
    """The part of an inbox's address that can be saved, in one order; "" for the plain inbox.

    What is no filter of an inbox, and no choice a filter offers, is left out.
    """
    return urlencode(list(_allowed(asked)))


def _allowed(asked: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    tab = asked.get("show", "")
    if tab != TO_DECIDE.key and tab in {view.key for view in VIEWS}:
        yield "show", tab
    offered = {
        "tier": {str(tier) for tier in range(HIGHEST_TIER + 1)},
        "action_type": {kind.key for kind in action_types()},
        "agent_team": {code for code, _ in team_choices()} if asked.get("agent_team") else set(),
    }
    for name, choices in offered.items():
        if asked.get(name, "") in choices:
            yield name, asked[name]
    searched = asked.get("q", "").strip()
    if searched and len(searched) <= LONGEST_SEARCH:
        yield "q", searched
