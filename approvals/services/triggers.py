"""Firing the triggers of the policy, and ending what they did.

Workers measure, never the proposal or the decision. Whoever fires holds one lock, so that two who
measure at the same time fire once; what is done, its record, its event and the mails are one
transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from approvals.choices import PauseScope
from approvals.domain import auto_pause
from approvals.domain.triggers import end, tell
from approvals.exceptions import ApprovalError, NotFound, ReasonRequired
from approvals.models import Agent, FiredTrigger, Heartbeat, Pause
from approvals.selectors.triggers import Reached, Subject, agents_of, in_words, reached
from approvals.services.agents import ON_PROBATION, demand_admin, demand_other_admin
from approvals.services.pauses import keys_of
from approvals.services.pauses import pause as begin_pause
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record, save_with_history
from connectors.connections import routes_in_force
from policies.models import User
from policies.triggers import Consequence, Per, spelled

TRIGGERS = Actor.system("triggers")


def find_due(at: datetime) -> list[Subject]:
    """Whose thresholds are reached at that moment; `fire` looks again under its lock."""
    return [one.subject for one in reached(at)]


@transaction.atomic
def fire(subject: Subject) -> FiredTrigger | None:
    """Do what the trigger says for that agent, action type or connection, and tell who answers.

    At most once for one cause: None where somebody else has fired it, or it is no longer reached.
    """
    at = _alone()
    found = next((one for one in reached(at) if one.subject == subject), None)
    if found is None:
        return None
    trigger = found.trigger
    fired = FiredTrigger(
        trigger=trigger.id,
        policy=found.rule.version,
        rule_owner=trigger.owner,
        reason=trigger.reason[:500],
        watch=trigger.watch.value,
        per=trigger.per.value,
        key=found.key,
        then=trigger.then.value,
        at_least=trigger.at_least,
        measured=found.measured,
        within_seconds=int(trigger.within.total_seconds()),
        counted_since=found.since,
        causes=list(found.causes),
        fired_at=at,
    )
    agents = _agents(found)
    if trigger.then is Consequence.PAUSE:
        fired.pause = _pause(found, agents, at)
    elif trigger.then is Consequence.DEMOTE and trigger.per is Per.AGENT:
        fired.level_before = _demote(agents[0], trigger.id, at)
    fired.save()
    record(
        AuditCode.TRIGGER_FIRED,
        actor=TRIGGERS,
        subject=fired,
        data={
            "trigger": trigger.id,
            "policy": found.rule.version,
            "watch": trigger.watch.value,
            "per": trigger.per.value,
            "key": found.key,
            "measured": found.measured,
            "at_least": trigger.at_least,
            "within_seconds": int(trigger.within.total_seconds()),
            "since": found.since.isoformat(),
            "then": trigger.then.value,
            "causes": list(found.causes),
        },
        at=at,
    )
    tell(fired, _told(found, agents), at=at)
    return fired


@transaction.atomic
def end_trigger(fired_id: int, *, actor: Actor, reason: str) -> FiredTrigger:
    """Let what a trigger sent to people, or demoted, do by itself again what policy allows.

    A demoted agent gets back the level it had. Takes an ops admin, for an agent one who does not
    own it. What a trigger paused goes on when its pause is lifted, which ends the trigger too.
    Raises NotAuthorised, NotFound, ReasonRequired and ApprovalError (already_ended, is_paused).
    """
    demand_admin(actor, "Only an ops admin ends what a trigger did.")
    named = FiredTrigger.objects.filter(pk=fired_id).values_list("per", "key").first()
    if named is None:
        raise NotFound("No such trigger has fired.")
    agent = _agent(named[1]) if named[0] == Per.AGENT else None
    fired = FiredTrigger.objects.select_for_update(of=("self",)).get(pk=fired_id)
    if agent is not None:
        demand_other_admin(actor, "Only an ops admin ends what a trigger did.", agent.owner)
    if not reason.strip():
        raise ReasonRequired("Write why it may go on, for the trail.")
    if fired.ended_at is not None:
        raise ApprovalError(f"{fired.ended_by} ended this already.", code="already_ended")
    if fired.then == Consequence.PAUSE:
        raise ApprovalError("It is paused: lift the pause, which ends this too.", code="is_paused")
    at = db_clock.now()
    level = fired.level_before
    if agent is not None and level is not None and agent.level < level and not _demoted(fired):
        _set_level(agent, level, trigger=fired.trigger, actor=actor, at=at)
    end(fired, actor=actor, reason=reason.strip(), at=at)
    return fired


def _alone() -> datetime:
    """Hold the lock of whoever fires; the time by the database's clock once it is held."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=Heartbeat.TRIGGERS, at=db_clock.now())], ignore_conflicts=True
    )
    Heartbeat.objects.select_for_update().get(name=Heartbeat.TRIGGERS)
    at: datetime = db_clock.now()
    return at


def _agents(found: Reached) -> list[Agent]:
    """The agent itself, locked; else those whose requests were counted."""
    if found.trigger.per is Per.AGENT:
        return [_agent(found.key)]
    return list(agents_of(found.causes))


def _agent(name: str) -> Agent:
    held = Agent.objects.select_for_update(no_key=True, of=("self",)).select_related("owner")
    return held.get(name=name)


def _pause(found: Reached, agents: list[Agent], at: datetime) -> Pause | None:
    """Pause it, unless it is paused already: then that pause is this trigger's too."""
    reason = why(found)
    if found.trigger.per is Per.AGENT:
        if not agents[0].is_paused:
            auto_pause.pause(agents[0], actor=TRIGGERS, reason=reason, at=at)
        return None
    scope, key = _scope_of(found)
    standing = Pause.objects.select_for_update().filter(scope=scope, key=key, lifted_at=None)
    known = standing.first()
    if known is not None:
        return known
    try:
        return begin_pause(scope, key, actor=TRIGGERS, reason=reason)
    except ApprovalError as refusal:  # somebody paused it at this very moment
        if refusal.code != "already_paused":
            raise
        return standing.first()


def _scope_of(found: Reached) -> tuple[PauseScope, str]:
    """The only connection of a system is paused with its system."""
    if found.trigger.per is Per.ACTION_TYPE:
        return PauseScope.ACTION_TYPE, found.key
    if found.key in keys_of(PauseScope.CONNECTION):
        return PauseScope.CONNECTION, found.key
    systems = {route.name: route.system for route in routes_in_force()}
    return PauseScope.CONNECTOR, systems.get(found.key, found.key)


def why(found: Reached) -> str:
    """Why it fired, in a sentence for everybody who runs into it."""
    trigger = found.trigger
    much = in_words(trigger.watch, found.measured)
    return f"{trigger.reason} {much} within {spelled(trigger.within)} ({trigger.id})."


def _demote(agent: Agent, trigger: str, at: datetime) -> int:
    """Put a locked agent on probation; the level it had."""
    before = agent.level
    if before > ON_PROBATION:
        _set_level(agent, ON_PROBATION, trigger=trigger, actor=TRIGGERS, at=at)
    return before


def _set_level(agent: Agent, level: int, *, trigger: str, actor: Actor, at: datetime) -> None:
    agent.level = level
    save_with_history(agent, actor=actor, reason=f"changed level: trigger {trigger}", at=at)
    record(
        AuditCode.AGENT_CHANGED,
        actor=actor,
        subject=agent,
        data={"fields": ["level"], "to": {"level": level}, "trigger": trigger},
        at=at,
    )


def _demoted(fired: FiredTrigger) -> bool:
    """Whether another trigger keeps the same agent demoted."""
    others = FiredTrigger.objects.filter(
        per=fired.per, key=fired.key, then=Consequence.DEMOTE.value, ended_at=None
    )
    return others.exclude(pk=fired.pk).exists()


def _told(found: Reached, agents: Collection[Agent]) -> list[User]:
    """Who answers for what it is about: owners of the agents, and of the connection."""
    people = [agent.owner for agent in agents]
    if found.trigger.per is Per.CONNECTION:
        persons = {route.owner for route in routes_in_force() if route.name == found.key}
        people += User.objects.filter(Q(person__in=persons - {""}), is_active=True)
    return people
