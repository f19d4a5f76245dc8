"""What is stopped: asked fresh at every point where something could go on, and never cached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import F, Q, QuerySet

from approvals.choices import PauseScope
from approvals.models import ActionRequest, Agent, Pause
from audit.events import AuditCode
from audit.selectors import events_of


@dataclass(frozen=True, slots=True)
class Stop:
    """One pause that stands in somebody's way, or stood there."""

    what: str
    by: str
    at: datetime
    reason: str
    is_over: bool = False
    is_agent: bool = False

    @property
    def for_people(self) -> str:
        """What, since when, by whom and why."""
        since = f"{self.at:%Y-%m-%d %H:%M} UTC"
        by = f" by {self.by}" if self.by else ""
        return f"{self.what} is paused since {since}{by}: {self.reason}"

    @property
    def for_agents(self) -> str:
        """What and why; who did it is for people."""
        return f"{self.what} is paused: {self.reason}"


def what_stops(
    action_type: str, system: str, agent: Agent, *, by_person: bool = False
) -> Stop | None:
    """The pause that covers such an action now, in one query.

    What a person opened (an undo, `by_person`) passes pauses of its agent and of its action type:
    that is how one cleans up. Nothing passes a pause of its connector or of everything.
    """
    if agent.is_paused and not by_person:
        return _of_agent(agent)
    pause = _covering(action_type, system, by_person=by_person).filter(lifted_at=None).first()
    return _of_pause(pause) if pause else None


def stop_of(request: ActionRequest) -> Stop | None:
    """The pause that covers the request now. Its agent is taken as it is in hand."""
    return what_stops(
        request.action_type,
        request.system,
        request.agent,
        by_person=request.requested_by_id is not None,
    )


def stopped_since(request: ActionRequest, at: datetime) -> Stop | None:
    """The pause that covers the request now or did at any moment since `at`, lifted or not.

    An approval given before it, or while it was being made, never runs. `lifted_at` is what
    counts: an approval that could not see a pause is older than the end of that pause.
    """
    by_person = request.requested_by_id is not None
    pause = (
        _covering(request.action_type, request.system, by_person=by_person)
        .filter(Q(lifted_at=None) | Q(lifted_at__gte=at))
        .order_by(F("lifted_at").desc(nulls_first=True))
        .first()
    )
    if pause is not None and pause.lifted_at is None:
        return _of_pause(pause)
    if not by_person and (stop := _agent_stopped_since(request.agent, at)):
        return stop
    return _of_pause(pause) if pause else None


def current_pauses() -> list[Pause]:
    """Every pause in force, the widest first, then the oldest; agents' own are on their rows."""
    found = Pause.objects.filter(lifted_at=None).order_by("paused_at", "id")
    return sorted(found, key=lambda pause: pause.scope != PauseScope.ALL)


def paused_agents() -> list[Agent]:
    """Every agent that is paused on its own, by name."""
    return list(Agent.objects.filter(paused_at__isnull=False).order_by("name"))


def stops_in_force() -> list[Stop]:
    """What every page tells: pauses, the widest first, then paused agents by name."""
    stops = [
        Stop(str(pause), pause.paused_by, pause.paused_at, pause.reason)
        for pause in current_pauses()
    ]
    for agent in paused_agents():
        stop = _of_agent(agent) if not stops else _of_agent_alone(agent)
        stops.append(replace(stop, what=f"agent {agent.name}", is_agent=True))
    return stops


def _covering(action_type: str, system: str, *, by_person: bool) -> QuerySet[Pause]:
    covers = Q(scope=PauseScope.ALL, key="") | Q(scope=PauseScope.CONNECTOR, key=system)
    if not by_person:
        covers |= Q(scope=PauseScope.ACTION_TYPE, key=action_type)
    return Pause.objects.filter(covers).order_by("paused_at", "id")


def _agent_stopped_since(agent: Agent, at: datetime) -> Stop | None:
    """By the agent's history (the database's clock) and, for how a pause ended, by the trail."""
    if agent.is_paused:
        return _of_agent(agent)
    earlier = agent.history.filter(paused_at__gte=at).order_by("-history_id").first()
    if earlier is None and events_of(agent).filter(code=AuditCode.AGENT_RESUMED, at__gte=at):
        earlier = agent.history.filter(paused_at__isnull=False).order_by("-history_id").first()
    if earlier is None:
        return None
    return Stop(f"Agent {agent.name}", "", earlier.paused_at, earlier.pause_reason, is_over=True)


def _of_agent(agent: Agent) -> Stop:
    paused = events_of(agent).filter(code=AuditCode.AGENT_PAUSED).last()
    return replace(_of_agent_alone(agent), by=paused.actor_name if paused else "")


def _of_agent_alone(agent: Agent) -> Stop:
    """Without who did it, which the trail knows."""
    assert agent.paused_at is not None  # noqa: S101 - narrows for the type checker
    return Stop(f"Agent {agent.name}", "", agent.paused_at, agent.pause_reason)


def _of_pause(pause: Pause) -> Stop:
    what = str(pause)
    return Stop(
        what[:1].upper() + what[1:],
        pause.paused_by,
        pause.paused_at,
        pause.reason,
        is_over=pause.lifted_at is not None,
    )
