"""How many requests the tabs of an inbox show: as far as a thousand, and some seconds old."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.core.cache import cache
from django.db.models import Q, QuerySet

from approvals.choices import State
from approvals.models import ActionRequest, Requirement
from approvals.selectors.inbox import (
    MOST_COUNTED,
    TO_DECIDE,
    VIEWS,
    WAITING,
    View,
    any_of,
    asked_now,
    listed,
    open_and_pending,
    union_of,
    waiting_of,
    ways_named,
    which_of_pending,
)
from approvals.selectors.inbox_deciders import may_approve
from approvals.selectors.prior_requests import CountOf
from policies.models import User

KEPT_SECONDS = 10
FOR_VIEWER = "for-viewer"
"""The key of how many of those to decide the viewer may approve."""


def counts_of_tabs(team: str, *, viewer: User, at: datetime) -> dict[str, int]:
    """How many each tab shows, by its key, and FOR_VIEWER."""
    key = _key(team, viewer)
    found: dict[str, int] | None = cache.get(key)
    if found is None:
        tabs = {
            view.key: counted(team, view, at=at, viewer=viewer) for view in VIEWS if view.counted
        }
        tabs[FOR_VIEWER] = counted_for(viewer, team, at=at)
        found = all_capped(tabs, viewer=viewer)
        cache.set(key, found, KEPT_SECONDS)
    return found


def forget_counts(team: str, *, viewer: User) -> None:
    """Count anew for who has just changed them."""
    cache.delete(_key(team, viewer))


class _Requests(CountOf):
    """How many requests a query of requirements finds."""

    template = "(SELECT COUNT(DISTINCT request_id) FROM (%(subquery)s) counted)"


def all_capped(asked: Mapping[str, CountOf], *, viewer: User) -> dict[str, int]:
    """Several counts in one statement, none more than MOST_COUNTED."""
    names = {f"number_{n}": one for n, one in enumerate(asked.values())}
    row = User.objects.filter(pk=viewer.pk).annotate(**names).values_list(*names).get()
    # a count that can find nothing is NULL: Django leaves the question out
    return {key: min(number or 0, MOST_COUNTED) for key, number in zip(asked, row, strict=True)}


def counted(team: str, view: View, *, at: datetime, viewer: User | None = None) -> CountOf:
    """How many one tab shows.

    Pending ones are counted by their requirements, one way of asking the team after the other:
    the database stops where it has found enough. A request may have two that ask the same team.
    """
    if view is WAITING:
        return _Requests(any_of(waiting_of(team))[: 2 * MOST_COUNTED])
    which = which_of_pending(view, at=at, viewer=viewer)
    if which is None:
        shown = listed(team, view, at=at, viewer=viewer).order_by()
        return CountOf(shown.values("pk")[:MOST_COUNTED])
    ways = [open_and_pending(way, which) for way in ways_named(team)]
    return _Requests(any_of(ways)[: 2 * MOST_COUNTED])


def counted_for(viewer: User, team: str, *, at: datetime) -> CountOf:
    """How many of what the team is to decide the viewer may approve.

    Of the first 2,000 that are found: a million others must not be read to find a few.
    """
    asked = union_of(open_and_pending(way, Q()).values("pk") for way in ways_named(team))
    first = Requirement.objects.filter(pk__in=asked[: 2 * MOST_COUNTED]).order_by()
    mine = first.filter(may_approve(viewer, asked=team, at=at))
    return _Requests(mine.values("request_id")[: 2 * MOST_COUNTED])


def counted_due(team: str, *, until: datetime) -> CountOf:
    """How many of what the team is to decide have their deadline by then: from the first on."""
    due = ActionRequest.objects.filter(state=State.PENDING_APPROVAL, decide_by__lte=until)
    found = asked_now(team, due).order_by(*TO_DECIDE.order)
    return CountOf(found.values("pk")[:MOST_COUNTED])


def in_order(requests: QuerySet[ActionRequest], view: View) -> QuerySet[ActionRequest]:
    """A tab's requests as they are counted.

    What waits for a decision is found by the index of its deadlines; in any order the database
    begins with the oldest requests, which have long ended. The other tabs have fewer.
    """
    return requests.order_by(*view.order) if view is TO_DECIDE else requests.order_by()


def _key(team: str, viewer: User) -> str:
    return f"tabs:{team}:{viewer.pk}"
