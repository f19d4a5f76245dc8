"""What is stopped: asked fresh at every point where something could go on, and never cached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce
from operator import or_
from typing import Any, TypeVar

from django.db.models import Case, F, Q, QuerySet, Value, When

from approvals.choices import PauseScope
from approvals.models import ActionRequest, Agent, Pause
from audit.events import AuditCode
from audit.lib.dates import format_moment
from audit.lib.one_look import looks_once, once_a_page
from audit.lib.prepared import Given, Prepared, Question
from audit.selectors import events_about, events_of
from connectors.connections import route_of
from connectors.registry import UnknownActionType
from connectors.registry import action_type as registered_type

N = TypeVar("N", str, Given)

_WIDEST = {PauseScope.RESTORED.value: 0, PauseScope.ALL.value: 1}
_RESTORES_FIRST = Case(When(scope=PauseScope.RESTORED, then=0), default=1)


@dataclass(frozen=True, slots=True)
class Stop:
    """One pause that stands in somebody's way, or stood there."""

    what: str
    by: str
    at: datetime
    reason: str
    is_over: bool = False
    is_agent: bool = False
    is_restore: bool = False
    """The database was restored: what it believes not done may have been done before."""

    @property
    def for_people(self) -> str:
        """What, since when, by whom and why."""
        by = f" by {self.by}" if self.by else ""
        return f"{self.what} is paused since {format_moment(self.at)}{by}: {self.reason}"

    @property
    def for_agents(self) -> str:
        """What and why; who did it is for people."""
        return f"{self.what} is paused: {self.reason}"

    @property
    def resumed_by(self) -> str:
        """Who can end it, as in "an ops admin"; a role, never a name."""
        if self.is_restore:
            return "an ops admin, once every target has been asked"
        return "whoever paused it or an ops admin" if self.is_agent else "an ops admin"


def what_stops(
    action_type: str, system: str, agent: Agent, *, by_person: bool = False
) -> Stop | None:
    """The pause that covers such an action now, in one query.

    What a person opened (an undo, `by_person`) passes pauses of its agent and of its action type:
    that is how one cleans up. Nothing passes a pause of its connector, of its connection or of
    everything.
    """
    if agent.is_paused and not by_person:
        return _of_agent(agent)
    connection = connection_of(action_type, system)
    pause = _STANDING[by_person].first(
        action_type=action_type, system=system, connection=connection
    )
    return _of_pause(pause) if pause else None


def standing_asked(key: str, *, by_person: bool) -> list[Question]:
    """What `what_stops` asks about an action of that type; nothing where there is no such type."""
    try:
        system = registered_type(key).system
    except UnknownActionType:
        return []
    connection = connection_of(key, system)
    return [_STANDING[by_person].asking(action_type=key, system=system, connection=connection)]


def stop_asked(request: ActionRequest) -> Question:
    """What `stop_of` asks while the request's agent is not paused itself."""
    by_person = request.requested_by_id is not None
    return _STANDING[by_person].asking(
        action_type=request.action_type,
        system=request.system,
        connection=connection_of(request.action_type, request.system),
    )


def stop_of(request: ActionRequest) -> Stop | None:
    """The pause that covers the request now. Its agent is taken as it is in hand."""
    if looks_once():
        return _stop_by_page(request)
    return what_stops(
        request.action_type,
        request.system,
        request.agent,
        by_person=request.requested_by_id is not None,
    )


def _stop_by_page(request: ActionRequest) -> Stop | None:
    """The same, of the pauses that the page shows anyway."""
    by_person = request.requested_by_id is not None
    if request.agent.is_paused and not by_person:
        return _of_agent(request.agent)
    connection = connection_of(request.action_type, request.system)
    covering = _covers(request.action_type, request.system, connection, by_person=by_person)
    pauses, _ = _pauses_and_agents()
    found = [pause for pause in pauses if (pause.scope, pause.key) in covering]
    oldest = min(found, key=lambda pause: (pause.paused_at, pause.pk), default=None)
    return _of_pause(oldest) if oldest else None


def stopped_since(request: ActionRequest, at: datetime) -> Stop | None:
    """The pause that covers the request now or did at any moment since `at`, lifted or not.

    An approval given before it, or while it was being made, never runs. `lifted_at` is what
    counts: an approval that could not see a pause is older than the end of that pause.
    """
    return stops_since(request, at).newest


@dataclass(frozen=True, slots=True)
class Stops:
    """What has stood in a request's way since some moment."""

    newest: Stop | None
    is_frozen: bool
    """Everything stands still after a restore, now."""
    restored: bool
    """The database was restored since the request was made, long ago perhaps."""


def stops_since(request: ActionRequest, at: datetime) -> Stops:
    """`stopped_since`, and what restores there were in the request's life, in the same query."""
    by_person = request.requested_by_id is not None
    pauses = _SINCE[by_person].all(**_since_values(request, at))
    standing = [pause for pause in pauses if pause.lifted_at is None or pause.lifted_at >= at]
    return Stops(
        newest=_newest(request, standing, at, by_person=by_person),
        is_frozen=any(_is_restore(pause) and pause.lifted_at is None for pause in pauses),
        restored=any(
            _is_restore(pause) and pause.paused_at >= request.created_at for pause in pauses
        ),
    )


def stops_asked(request: ActionRequest, at: datetime) -> list[Question]:
    """What `stops_since` asks while the request's agent is not paused itself."""
    by_person = request.requested_by_id is not None
    return [
        _SINCE[by_person].asking(**_since_values(request, at)),
        _RESUMED.asking(agent=str(request.agent_id), at=at),
    ]


def _since_values(request: ActionRequest, at: datetime) -> dict[str, Any]:
    return {
        "action_type": request.action_type,
        "system": request.system,
        "connection": connection_of(request.action_type, request.system),
        "at": at,
        "born": request.created_at,
    }


def _newest(
    request: ActionRequest, pauses: list[Pause], at: datetime, *, by_person: bool
) -> Stop | None:
    pause = pauses[0] if pauses else None
    if pause is not None and (pause.lifted_at is None or _is_restore(pause)):
        return _of_pause(pause)
    if not by_person and (stop := _agent_stopped_since(request.agent, at)):
        return stop
    return _of_pause(pause) if pause else None


def _is_restore(pause: Pause) -> bool:
    return pause.scope == PauseScope.RESTORED


def current_pauses() -> list[Pause]:
    """Every pause in force, the widest first, then the oldest; agents' own are on their rows."""
    found = Pause.objects.filter(lifted_at=None).order_by("paused_at", "id")
    return sorted(found, key=_width)


def paused_agents() -> list[Agent]:
    """Every agent that is paused on its own, by name."""
    return list(Agent.objects.filter(paused_at__isnull=False).order_by("name"))


def stops_in_force() -> list[Stop]:
    """What every page tells: pauses, the widest first, then paused agents by name."""
    pauses, agents = _pauses_and_agents()
    stops = [
        Stop(
            str(pause),
            pause.paused_by,
            pause.paused_at,
            pause.reason,
            is_restore=_is_restore(pause),
        )
        for pause in pauses
    ]
    for agent in agents:
        stop = _of_agent(agent) if not stops else stop_of_agent(agent)
        stops.append(replace(stop, what=f"agent {agent.name}", is_agent=True))
    return stops


@once_a_page
def _pauses_and_agents() -> tuple[list[Pause], list[Agent]]:
    """Both in one statement, because every page asks."""
    paused = Agent.objects.filter(paused_at__isnull=False).order_by()
    in_force = Pause.objects.filter(lifted_at=None).order_by()
    as_pauses = paused.values_list(
        Value(""), "pk", Value(""), "name", Value(""), "paused_at", "pause_reason"
    )
    rows = in_force.values_list(
        Value("pause"), "pk", "scope", "key", "paused_by", "paused_at", "reason"
    ).union(as_pauses, all=True)
    pauses, agents = [], []
    for kind, pk, scope, name, by, at, reason in rows:
        if kind:
            pause = Pause(pk=pk, scope=scope, key=name, paused_by=by, paused_at=at, reason=reason)
            pauses.append(pause)
        else:
            agents.append(Agent(pk=pk, name=name, paused_at=at, pause_reason=reason))
    pauses.sort(key=lambda pause: (_width(pause), pause.paused_at, pause.pk))
    return pauses, sorted(agents, key=lambda agent: agent.name)


def _width(pause: Pause) -> int:
    return _WIDEST.get(pause.scope, len(_WIDEST))


def connection_of(action_type: str, system: str) -> str:
    """The name of the connection such an action goes through now; "" for none."""
    route = route_of(action_type, system)
    return route.name if route else ""


def _covers(
    action_type: N, system: N, connection: N, *, by_person: bool
) -> set[tuple[str, str | N]]:
    """Scope and key of every pause that covers such an action."""
    covers: set[tuple[str, str | N]] = {
        (PauseScope.ALL, ""),
        (PauseScope.RESTORED, ""),
        (PauseScope.CONNECTOR, system),
        (PauseScope.CONNECTION, connection),
    }
    return covers if by_person else covers | {(PauseScope.ACTION_TYPE, action_type)}


def _covering(*, by_person: bool) -> QuerySet[Pause]:
    places = (Given("action_type"), Given("system"), Given("connection"))
    covers = _covers(*places, by_person=by_person)
    in_order = sorted(covers, key=lambda cover: cover[0])
    named = reduce(or_, (Q(scope=scope, key=key) for scope, key in in_order))
    return Pause.objects.filter(named).order_by("paused_at", "id")


def _standing(*, by_person: bool) -> QuerySet[Pause]:
    return _covering(by_person=by_person).filter(lifted_at=None)[:1]


def _since(*, by_person: bool) -> QuerySet[Pause]:
    """Those in force, or lifted since `at`, and restores since it was `born`."""
    restored = Q(scope=PauseScope.RESTORED, paused_at__gte=Given("born"))
    return (
        _covering(by_person=by_person)
        .filter(Q(lifted_at=None) | Q(lifted_at__gte=Given("at")) | restored)
        .order_by(_RESTORES_FIRST, F("lifted_at").desc(nulls_first=True))
    )


_STANDING = {who: Prepared(partial(_standing, by_person=who)) for who in (False, True)}
_SINCE = {who: Prepared(partial(_since, by_person=who)) for who in (False, True)}


def _agent_stopped_since(agent: Agent, at: datetime) -> Stop | None:
    """By the trail: a pause since `at`, or before it, that is over by now was lifted since `at`."""
    if agent.is_paused:
        return _of_agent(agent)
    if not _RESUMED.all(agent=str(agent.pk), at=at):
        return None
    earlier = agent.history.filter(paused_at__isnull=False).order_by("-history_id").first()
    since, reason = (earlier.paused_at, earlier.pause_reason) if earlier else (at, "")
    return Stop(f"Agent {agent.name}", "", since, reason, is_over=True)


_RESUMED = Prepared(
    lambda: (
        events_about(Agent, Given("agent"))
        .filter(code=AuditCode.AGENT_RESUMED, at__gte=Given("at"))
        .values_list("pk")[:1]
    )
)


def _of_agent(agent: Agent) -> Stop:
    paused = events_of(agent).filter(code=AuditCode.AGENT_PAUSED).last()
    return replace(stop_of_agent(agent), by=paused.actor_name if paused else "")


def stop_of_agent(agent: Agent) -> Stop:
    """The pause of a paused agent, without who did it, which the trail knows."""
    assert agent.paused_at is not None  # noqa: S101 - narrows for the type checker
    what = f"Agent {agent.name}"
    return Stop(what, "", agent.paused_at, agent.pause_reason, is_agent=True)


def _of_pause(pause: Pause) -> Stop:
    what = str(pause)
    return Stop(
        what[:1].upper() + what[1:],
        pause.paused_by,
        pause.paused_at,
        pause.reason,
        is_over=pause.lifted_at is not None,
        is_restore=_is_restore(pause),
    )
