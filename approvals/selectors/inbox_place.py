"""Where a request stands among what somebody can decide in an inbox, and which one comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Subquery

from approvals.choices import State
from approvals.inspection import reveal
from approvals.models import ActionRequest, TargetReading
from approvals.selectors.inbox import TO_DECIDE, answers_of, asked_now, next_to_decide, open_of
from approvals.selectors.inbox_deciders import may_approve
from policies.models import User

_LOOKED_AT = 100
"""A position among millions tells nobody anything: the first hundred are looked at."""
_BEFORE, _SHOWN = 4, 14
"""How many of the inbox stand beside a case, and how many of those before it."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One request of the inbox, as it stands beside the case that is open."""

    request_id: UUID
    sentence: str
    tier: int | None
    decide_by: datetime | None
    is_mine: bool
    """Whether the viewer can decide it."""


@dataclass(frozen=True, slots=True)
class InboxPlace:
    """One request in the order of the inbox."""

    number: int
    """From 1 on, among what the viewer can decide; 0: it is not among them."""
    of: int
    is_more: bool
    """Whether there may be more than those counted."""
    following: UUID | None
    """What to decide next; None when nothing is left."""
    around: tuple[Neighbour, ...]
    """The case and what is nearest to it in the inbox's order, or the first of the inbox."""


def place_of(request: ActionRequest, team: str, viewer: User, *, at: datetime) -> InboxPlace:
    """Its place and what comes next: the viewer's own first, then what others decide."""
    waiting = asked_now(team, ActionRequest.objects.filter(state=State.PENDING_APPROVAL))
    decided = answers_of(viewer.person)
    mine = open_of(team).filter(may_approve(viewer, asked=team, at=at))
    read = TargetReading.objects.filter(request=OuterRef("pk"), version=OuterRef("version"))
    found = (
        waiting.order_by(*TO_DECIDE.order)
        .annotate(is_mine=Exists(mine), is_decided=Exists(decided))
        .annotate(named=Subquery(read.order_by("-id").values("sentence")[:1]))
        .values_list("pk", "named", "effect", "risk_tier", "decide_by", "is_mine", "is_decided")
    )
    rows: list[Neighbour] = []
    answered: set[UUID] = set()
    for pk, named, effect, tier, decide_by, is_mine, is_decided in found[:_LOOKED_AT]:
        rows.append(Neighbour(pk, reveal(named or effect), tier, decide_by, is_mine))
        if is_decided:
            answered.add(pk)
    own = [row.request_id for row in rows if row.is_mine]
    is_more = len(rows) == _LOOKED_AT
    number = own.index(request.pk) + 1 if request.pk in own else 0
    later = [row for row in rows if _is_after(row, request)]
    ahead = [row for row in (*later, *rows) if row.request_id not in {request.pk, *answered}]
    following = next((row.request_id for row in ahead if row.is_mine), None)
    if following is None and ahead:
        following = ahead[0].request_id
    if is_more and not later:  # it stands behind those looked at
        beyond = next_to_decide(team, viewer, after=request)
        following = beyond.pk if beyond else None
    return InboxPlace(number, len(own), is_more, following, _around(request.pk, rows))


def _around(request_id: UUID, rows: Sequence[Neighbour]) -> tuple[Neighbour, ...]:
    places = [place for place, row in enumerate(rows) if row.request_id == request_id]
    begin = max(places[0] - _BEFORE, 0) if places else 0
    begin = max(min(begin, len(rows) - _SHOWN), 0)
    return tuple(rows[begin : begin + _SHOWN])


def _is_after(row: Neighbour, request: ActionRequest) -> bool:
    if row.decide_by is None or request.decide_by is None:
        return False
    return (row.decide_by, row.request_id) > (request.decide_by, request.pk)
