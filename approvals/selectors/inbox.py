"""One team's requests: what waits, what is stuck, what was done, and the rows of the list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import (
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
)

from approvals.choices import (
    FINAL_VERDICTS,
    INCIDENTS,
    WAITING_FOR_PEOPLE,
    DecisionVerdict,
    State,
)
from approvals.models import (
    ActionRequest,
    Decision,
    IntegrityIncident,
    Requirement,
)
from audit.lib import db_clock
from audit.lib.one_look import once_a_page
from policies.authority import inboxes_at
from policies.models import User
from policies.team_names import person_in
from policies.teams import name_of_team
from policies.verdicts import Verdict

MANAGER = "manager"
MOST_COUNTED = 1_000
RECENTLY = timedelta(days=7)
CHANGED_LISTED_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class View:
    """One tab of an inbox: its key in the address, its name and its order."""

    key: str
    name: str
    order: tuple[str, ...]
    counted: bool = True


TO_DECIDE = View("to-decide", "To decide", ("decide_by", "id"))
MINE = View("mine", "Mine", ("decide_by", "id"))
CLAIMED = View("claimed", "Claimed", ("decide_by", "id"))
WAITING = View("waiting", "Waiting for the agent", ("answer_by", "id"))
ESCALATED = View("escalated", "Escalated", ("decide_by", "id"))
CARRIED_OUT = View("running", "Approved and running", ("execute_by", "id"))
NEEDS_CLOSING = View("incidents", "Incidents", ("id",))
DONE = View("done", "Decided lately", ("-id",))
VIEWS = (TO_DECIDE, MINE, CLAIMED, ESCALATED, WAITING, CARRIED_OUT, NEEDS_CLOSING, DONE)
_CARRIED_OUT = (State.APPROVED, State.EXECUTING, State.EXECUTED, State.VERIFIED)
_ASKED_NOW = (TO_DECIDE, MINE, CLAIMED, ESCALATED, WAITING)


@once_a_page
def inboxes_of(user: User) -> tuple[str, ...]:
    """The account's teams and what it is asked by name, its own and on somebody's behalf."""
    return inboxes_at(user, at=db_clock.now_of_page())


def teams_of(user: User) -> tuple[str, ...]:
    """The teams among those inboxes."""
    return tuple(one for one in inboxes_of(user) if not person_in(one))


def inbox_name(team: str, *, viewer: User) -> str:
    """What the inbox is called for whoever looks at it."""
    person = person_in(team)
    if person:
        return "Asked of you" if person == viewer.person else f"Asked of {person}"
    return f"{name_of_team(team)} inbox"


def incidents(at: datetime, requests: QuerySet[ActionRequest]) -> QuerySet[ActionRequest]:
    """Whose outcome somebody has to find out, and what was found changed outside of Countersign.

    Nothing people do here puts the latter right, so those are listed for CHANGED_LISTED_FOR.
    """
    lately = IntegrityIncident.objects.filter(found_at__gte=at - CHANGED_LISTED_FOR)
    return requests.filter(pk__in=_need_closing(lately))


def _need_closing(changed_outside: QuerySet[IntegrityIncident]) -> QuerySet[Any]:
    """Ids: a union of two look-ups in indexes, where an OR would read every request."""
    unclear = ActionRequest.objects.filter(state__in=INCIDENTS).order_by().values("pk")
    return unclear.union(changed_outside.order_by().values("request"), all=True)


def requests_of(
    team: str, requests: QuerySet[ActionRequest] | None = None
) -> QuerySet[ActionRequest]:
    """Everything the team was ever asked about.

    Managers also have what policy allowed without anybody, and every incident: somebody must be
    able to undo and to close those.
    """
    requests = ActionRequest.objects.all() if requests is None else requests
    asked = Exists(_asked(team))
    if team == MANAGER:
        changed = Exists(IntegrityIncident.objects.filter(request=OuterRef("pk")).order_by())
        needs_closing = Q(state__in=INCIDENTS) | changed
        return requests.filter(asked | needs_closing | Q(verdict=Verdict.ALLOW.value))
    return requests.filter(asked)


def asked_now(team: str, requests: QuerySet[ActionRequest]) -> QuerySet[ActionRequest]:
    """Those on whose current version the team still has to answer."""
    return requests.filter(Exists(open_of(team)))


def listed(
    team: str,
    view: View,
    *,
    at: datetime,
    viewer: User | None = None,
    requests: QuerySet[ActionRequest] | None = None,
) -> QuerySet[ActionRequest]:
    """What one tab of a team's inbox shows, unordered.

    Whom the team is asked about now, it was ever asked about: those tabs look once.
    """
    requests = ActionRequest.objects.all() if requests is None else requests
    theirs = requests if view in _ASKED_NOW else requests_of(team, requests)
    return in_view(theirs, team, view, at=at, viewer=viewer)


def in_view(
    requests: QuerySet[ActionRequest],
    team: str,
    view: View,
    *,
    at: datetime,
    viewer: User | None = None,
) -> QuerySet[ActionRequest]:
    """The requests one tab shows, unordered. Without a viewer nothing is anybody's own."""
    if view is TO_DECIDE:
        return requests.filter(Exists(open_of(team)), state=State.PENDING_APPROVAL)
    if view is WAITING:
        return requests.filter(pk__in=any_of(waiting_of(team)), state=State.CHANGES_REQUESTED)
    which = which_of_pending(view, at=at, viewer=viewer)
    if which is not None:
        # Few requirements are such, so the database is to begin with them. It does because of
        # DISTINCT; left to itself it goes through everything that waits, by deadline.
        few = open_and_pending(_named(team), which).values("request").distinct()
        return requests.filter(pk__in=few)
    if view is CARRIED_OUT:
        # What an accountable person still has to sign off is waiting for somebody, too. Said by
        # what it is not, so that nobody reads an index of all tiers for it.
        going_on = requests.filter(state__in=_CARRIED_OUT)
        return going_on.exclude(state=State.VERIFIED, risk_tier__lt=4)
    if view is NEEDS_CLOSING:
        return incidents(at, requests)
    decided = Decision.objects.filter(
        request=OuterRef("pk"), group=team, created_at__gte=at - RECENTLY
    )
    return requests.filter(Exists(decided)).exclude(state__in=WAITING_FOR_PEOPLE)


def which_of_pending(view: View, *, at: datetime, viewer: User | None) -> Q | None:
    """Which open requirements put a pending request on that tab; None: that does not tell."""
    if view is TO_DECIDE:
        return Q()
    if view is MINE:
        return Q(assignee=viewer) if viewer else Q(pk__in=())
    if view is CLAIMED:
        return Q(assignee__isnull=False, claimed_until__gt=at)
    return ~Q(escalated_to="") if view is ESCALATED else None


def open_and_pending(named: Q, which: Q) -> QuerySet[Requirement]:
    """Open requirements of the current version of what waits for a decision."""
    return _open_while(State.PENDING_APPROVAL, named & which)


def waiting_of(team: str) -> list[QuerySet[Requirement]]:
    """Open requirements of what waits for its agent, for each way of asking the team."""
    return [_open_while(State.CHANGES_REQUESTED, way) for way in ways_named(team)]


def any_of(ways: Sequence[QuerySet[Requirement]]) -> QuerySet[Any]:
    """The requests of any of these, each way found by its own index; twice where two ways lead."""
    return union_of(way.values("request_id") for way in ways)


def union_of(ways: Iterable[QuerySet[Any]]) -> QuerySet[Any]:
    """All rows of all of these, by a look-up each."""
    first, *others = ways
    return first.union(*others, all=True)


def _open_while(state: State, which: Q) -> QuerySet[Requirement]:
    current = which & Q(is_open=True, version=F("request__version"))
    return Requirement.objects.filter(current, request__state=state).order_by()


def next_to_decide(team: str, user: User, *, after: ActionRequest) -> ActionRequest | None:
    """The next request of the inbox this person has not decided, in the inbox's order."""
    waiting = (
        asked_now(team, ActionRequest.objects.filter(state=State.PENDING_APPROVAL))
        .filter(~Exists(answers_of(user.person)))
        .exclude(pk=after.pk)
        .order_by(*TO_DECIDE.order)
    )
    if after.decide_by is None:
        return waiting.first()
    later = waiting.filter(
        Q(decide_by__gt=after.decide_by) | Q(decide_by=after.decide_by, pk__gt=after.pk)
    )
    return later.first() or waiting.first()


def answers_of(person: str) -> QuerySet[Decision]:
    """What leaves a person nothing to decide about a request: a yes or no to it as it is, or that
    they abstained."""
    final = Q(version=OuterRef("version"), verdict__in=FINAL_VERDICTS)
    return Decision.objects.filter(
        final | Q(verdict=DecisionVerdict.ABSTAIN), request=OuterRef("pk"), person=person
    )


def capped(requests: QuerySet[ActionRequest]) -> int:
    """How many, or MOST_COUNTED: nobody needs to know whether it is 4,000 or 5,000."""
    return requests.order_by()[:MOST_COUNTED].count()


def _named(team: str) -> Q:
    return reduce(or_, ways_named(team))


def ways_named(team: str) -> tuple[Q, Q, Q]:
    """How a requirement asks a team; each way has an index."""
    # said twice, so that the index of those with alternatives, which are few, is of use
    among_others = ~Q(alternatives="") & Q(alternatives__contains=f"|{team}|")
    return Q(group=team), Q(escalated_to=team), among_others


def _asked(team: str) -> QuerySet[Requirement]:
    return Requirement.objects.filter(_named(team), request=OuterRef("pk"))


def open_of(team: str) -> QuerySet[Requirement]:
    """Requirements that ask the team now, of the request of an outer query."""
    return _asked(team).filter(is_open=True, version=OuterRef("version"))
