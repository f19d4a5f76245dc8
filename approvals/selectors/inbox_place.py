"""Where a request stands among what somebody can decide in an inbox, and which one comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists

from approvals.choices import State
from approvals.models import ActionRequest
from approvals.selectors.inbox import TO_DECIDE, answers_of, asked_now, next_to_decide, open_of
from approvals.selectors.inbox_deciders import may_approve
from policies.models import User

_LOOKED_AT = 100
"""A position among millions tells nobody anything: the first hundred are looked at."""


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


def place_of(request: ActionRequest, team: str, viewer: User, *, at: datetime) -> InboxPlace:
    """Its place and what comes next: the viewer's own first, then what others decide."""
    waiting = asked_now(team, ActionRequest.objects.filter(state=State.PENDING_APPROVAL))
    decided = answers_of(viewer.person)
    mine = open_of(team).filter(may_approve(viewer, asked=team, at=at))
    rows = list(
        waiting.order_by(*TO_DECIDE.order)
        .annotate(is_mine=Exists(mine), is_decided=Exists(decided))
        .values_list("pk", "decide_by", "is_mine", "is_decided")[:_LOOKED_AT]
    )
    own = [pk for pk, _, is_mine, _ in rows if is_mine]
    is_more = len(rows) == _LOOKED_AT
    number = own.index(request.pk) + 1 if request.pk in own else 0
    later = [row for row in rows if _is_after(row[1], row[0], request)]
    ahead = [row for row in (*later, *rows) if row[0] != request.pk and not row[3]]
    following = next((row[0] for row in ahead if row[2]), ahead[0][0] if ahead else None)
    if is_more and not later:  # it stands behind those looked at
        beyond = next_to_decide(team, viewer, after=request)
        following = beyond.pk if beyond else None
    return InboxPlace(number, len(own), is_more, following)


def _is_after(decide_by: datetime | None, pk: UUID, request: ActionRequest) -> bool:
    if decide_by is None or request.decide_by is None:
        return False
    return (decide_by, pk) > (request.decide_by, request.pk)
