"""How many requests the tabs of an inbox show: as far as a thousand, and some seconds old."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db.models import QuerySet

from approvals.models import ActionRequest
from approvals.selectors.inbox import MOST_COUNTED, TO_DECIDE, VIEWS, View, ids_of_few, listed
from approvals.selectors.prior_requests import CountOf
from policies.models import User

KEPT_SECONDS = 10


def counts_of_tabs(team: str, *, viewer: User, at: datetime) -> dict[str, int]:
    """How many each tab shows, by its key."""
    key = _key(team, viewer)
    found: dict[str, int] | None = cache.get(key)
    if found is None:
        tabs = {
            view.key: counted(team, view, at=at, viewer=viewer) for view in VIEWS if view.counted
        }
        found = all_capped(tabs, viewer=viewer)
        cache.set(key, found, KEPT_SECONDS)
    return found


def forget_counts(team: str, *, viewer: User) -> None:
    """Count anew for who has just changed them."""
    cache.delete(_key(team, viewer))


def all_capped(asked: Mapping[str, QuerySet[Any]], *, viewer: User) -> dict[str, int]:
    """How many rows each finds, or MOST_COUNTED, in one statement; each is counted in its order."""
    counts = {f"number_{n}": CountOf(one[:MOST_COUNTED]) for n, one in enumerate(asked.values())}
    row = User.objects.filter(pk=viewer.pk).annotate(**counts).values_list(*counts).get()
    return dict(zip(asked, row, strict=True))


def counted(team: str, view: View, *, at: datetime, viewer: User | None = None) -> QuerySet[Any]:
    """Ids of what one tab shows, as they are best counted."""
    few = ids_of_few(team, view, at=at, viewer=viewer)
    if few is not None:
        return few
    return in_order(listed(team, view, at=at, viewer=viewer), view).values("pk")


def in_order(requests: QuerySet[ActionRequest], view: View) -> QuerySet[ActionRequest]:
    """A tab's requests as they are counted.

    What waits for a decision is found by the index of its deadlines; in any order the database
    begins with the oldest requests, which have long ended. The other tabs have fewer.
    """
    return requests.order_by(*view.order) if view is TO_DECIDE else requests.order_by()


def _key(team: str, viewer: User) -> str:
    return f"tabs:{team}:{viewer.pk}"
