"""What the triggers of the policy count: nothing here changes anything.

Causes are events of requests, done effects and answers of systems. For each agent, action type or
connection they count from the window's beginning, or from when its trigger ended last: nothing that
was answered once counts again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet, Sum

from approvals.choices import ExecutionState
from approvals.models import ActionRequest, Agent, Execution, FiredTrigger
from approvals.selectors.pauses import connection_of
from approvals.selectors.visibility import sees_everything
from audit.events import AuditCode
from audit.lib.db import ID_SLACK
from audit.lib.money import Money
from audit.models import AuditEvent
from audit.selectors import event_id_at
from audit.services import subject_label
from connectors.models import UnexpectedAnswer
from policies.authority import is_agent_owner, is_ops_admin, roles_of, teams_of
from policies.models import User
from policies.services.evaluation import TriggerInForce, triggers_in_force
from policies.triggers import SENDS_TO_PEOPLE, Per, Trigger, Watch, spelled

MOST_CAUSES = 20
"""So many of the latest requests counted are kept with what fired."""

_EVENTS: dict[Watch, tuple[AuditCode, ...]] = {
    Watch.ERRORS: (AuditCode.FAILED, AuditCode.OUTCOME_UNKNOWN),
    Watch.FAILED_VERIFICATIONS: (AuditCode.VERIFICATION_FAILED,),
    Watch.COMPLAINTS: (AuditCode.COMPLAINT_REPORTED,),
}


class Subject(NamedTuple):
    """Of what a trigger counts: an agent, an action type or a connection."""

    trigger: str
    per: str
    key: str


@dataclass(frozen=True, slots=True)
class Reached:
    """A threshold that was reached, and by how much of what."""

    rule: TriggerInForce
    key: str
    measured: int
    since: datetime
    causes: tuple[str, ...]
    """Ids of the latest requests, the latest first."""

    @property
    def trigger(self) -> Trigger:
        return self.rule.trigger

    @property
    def subject(self) -> Subject:
        return Subject(self.trigger.id, self.trigger.per.value, self.key)


@dataclass(frozen=True, slots=True)
class _Cause:
    """One thing that happened, of whom and how much: 1, or minor units of the base currency."""

    at: datetime
    agent: str
    action_type: str
    connection: str
    request: str = ""
    much: int = 1

    def key_for(self, per: Per) -> str:
        return {
            Per.AGENT: self.agent,
            Per.ACTION_TYPE: self.action_type,
            Per.CONNECTION: self.connection,
        }[per]


def reached(at: datetime) -> list[Reached]:
    """Every threshold reached at that moment whose trigger is not in force for it already."""
    rules = triggers_in_force()
    if not rules:
        return []
    of_watch: dict[Watch, list[Trigger]] = defaultdict(list)
    for rule in rules:
        of_watch[rule.trigger.watch].append(rule.trigger)
    longest = {watch: max(one.within for one in those) for watch, those in of_watch.items()}
    found = {
        watch: _causes(watch, at - longest[watch], min(one.at_least for one in those))
        for watch, those in of_watch.items()
    }
    if not any(found.values()):
        return []
    answered = _answered(at - max(longest.values()))
    return [
        one for rule in rules for one in _reached(rule, found[rule.trigger.watch], answered, at)
    ]


def _reached(
    rule: TriggerInForce,
    causes: Iterable[_Cause],
    answered: dict[Subject, datetime | None],
    at: datetime,
) -> list[Reached]:
    trigger, begins = rule.trigger, at - rule.trigger.within
    counted: dict[str, list[_Cause]] = defaultdict(list)
    for cause in causes:
        key = cause.key_for(trigger.per)
        if key and cause.at >= begins and trigger.counts(cause.action_type):
            counted[key].append(cause)
    found = []
    for key, those in counted.items():
        subject = Subject(trigger.id, trigger.per.value, key)
        ended = answered.get(subject, begins)
        if ended is None:  # in force
            continue
        since = max(begins, ended)
        # what happened before it ended was in hand when it did
        new = [cause for cause in those if cause.at > since or since == begins]
        measured = sum(cause.much for cause in new)
        if new and measured >= trigger.at_least:
            found.append(Reached(rule, key, measured, since, _latest(new)))
    return found


def _latest(causes: Collection[_Cause]) -> tuple[str, ...]:
    in_order = sorted(causes, key=lambda cause: cause.at, reverse=True)
    named = dict.fromkeys(cause.request for cause in in_order if cause.request)
    return tuple(named)[:MOST_CAUSES]


def _answered(since: datetime) -> dict[Subject, datetime | None]:
    """When what fired lately ended; None while it is in force."""
    rows = FiredTrigger.objects.filter(ended_at=None) | FiredTrigger.objects.filter(
        ended_at__gte=since
    )
    found: dict[Subject, datetime | None] = {}
    ended = rows.order_by("pk").values_list("trigger", "per", "key", "ended_at")
    for trigger, per, key, ended_at in ended:
        found[Subject(trigger, per, key)] = ended_at
    return found


def _causes(watch: Watch, since: datetime, at_least: int) -> list[_Cause]:
    """Everything of that kind since then; nothing where it cannot come to `at_least`."""
    if watch is Watch.CHANGED_FORMAT:
        return _unexpected(since)
    if watch is Watch.COST:
        return _spent(since, at_least)
    return _happened(_EVENTS[watch], since)


def _happened(codes: Collection[AuditCode], since: datetime) -> list[_Cause]:
    """What is on record of requests under these codes, by the index of codes and ids."""
    first = event_id_at(since - ID_SLACK, after=True)
    events = AuditEvent.objects.filter(
        code__in=[code.value for code in codes],
        pk__gte=first,
        at__gte=since,
        subject_type=subject_label(ActionRequest),
    )
    rows = list(events.order_by("pk").values_list("subject_id", "at"))
    if not rows:
        return []
    known = _requests({request for request, _ in rows})
    return [_Cause(at, *known[request], request) for request, at in rows if request in known]


def _requests(ids: Collection[str]) -> dict[str, tuple[str, str, str]]:
    """Agent, action type and connection of each of these requests."""
    found: dict[str, tuple[str, str, str]] = {}
    rows = ActionRequest.objects.filter(pk__in=ids).values_list(
        "pk", "agent__name", "requested_by", "action_type", "system"
    )
    went = _went_through(ids)
    for pk, agent, person, kind, system in rows:
        connection = went.get(str(pk)) or connection_of(kind, system)
        found[str(pk)] = (_whose(agent, person), kind, connection)
    return found


def _whose(agent: str, person: int | None) -> str:
    """The agent, but for what a person opened in its name."""
    return "" if person is not None else agent


def _went_through(ids: Collection[str]) -> dict[str, str]:
    rows = Execution.objects.filter(request__in=[UUID(one) for one in ids]).order_by("pk")
    return {
        str(request): connection.partition("@")[0]
        for request, connection in rows.values_list("request", "connection")
    }


def _spent(since: datetime, at_least: int) -> list[_Cause]:
    """What was done for money, in minor units of the base currency.

    The database adds it up first: row by row it is read only where all of it together would do.
    """
    done = Execution.objects.filter(
        state=ExecutionState.SUCCEEDED, finished_at__gte=since, request__amount_base__gt=0
    )
    if (done.aggregate(all=Sum("request__amount_base"))["all"] or 0) < at_least:
        return []
    rows = done.order_by("finished_at").values_list(
        "finished_at",
        "request__agent__name",
        "request__requested_by",
        "request__action_type",
        "connection",
        "request",
        "request__amount_base",
    )
    return [
        _Cause(at, _whose(agent, person), kind, went.partition("@")[0], str(request), much)
        for at, agent, person, kind, went, request, much in rows
        if at is not None and much is not None
    ]


def _unexpected(since: datetime) -> list[_Cause]:
    """Answers that were not as they should be; who asked is nobody's fault."""
    rows = UnexpectedAnswer.objects.filter(at__gte=since).order_by("at")
    return [
        _Cause(at, "", kind, connection)
        for at, kind, connection in rows.values_list("at", "action_type", "connection")
    ]


_WORDS = {
    Watch.ERRORS: ("request that ended in an error", "requests that ended in an error"),
    Watch.FAILED_VERIFICATIONS: (
        "effect that is not as approved",
        "effects that are not as approved",
    ),
    Watch.COMPLAINTS: ("complaint", "complaints"),
    Watch.CHANGED_FORMAT: ("answer of another form", "answers of another form"),
}


def in_words(watch: Watch, number: int) -> str:
    """ "3 complaints", "12,000.00 EUR"."""
    if watch is Watch.COST:
        return str(Money(number, settings.BASE_CURRENCY))
    return f"{number:,} {_WORDS[watch][number != 1]}"


def measured_in_words(fired: FiredTrigger) -> str:
    """What it found."""
    return in_words(Watch(fired.watch), fired.measured)


def threshold_in_words(fired: FiredTrigger) -> str:
    """From how much on it fires, and within how long."""
    window = timedelta(seconds=fired.within_seconds)
    return f"{in_words(Watch(fired.watch), fired.at_least)} within {spelled(window)}"


def sent_to_people() -> list[str]:
    """What does nothing by itself because of a trigger in force: "agent refund-bot"."""
    rows = FiredTrigger.objects.filter(
        ended_at=None, then__in=[one.value for one in SENDS_TO_PEOPLE]
    ).order_by("pk")
    return list(dict.fromkeys(f"{per} {key}" for per, key in rows.values_list("per", "key")))


def visible_triggers(user: User) -> QuerySet[FiredTrigger]:
    """Every one for who configures, decides, writes policy or audits; an agent owner's are those
    of their own agents, and of action types and connections.
    """
    rows, roles = FiredTrigger.objects.all(), roles_of(user)
    if not is_agent_owner(roles) or is_ops_admin(roles) or sees_everything(user):
        return rows
    if teams_of(user):
        return rows
    own = Agent.objects.filter(owner=user).values("name")
    return rows.exclude(per=Per.AGENT.value) | rows.filter(per=Per.AGENT.value, key__in=own)


def agents_of(causes: Collection[str]) -> QuerySet[Agent]:
    """The agents whose requests were counted."""
    return Agent.objects.filter(requests__pk__in=causes).select_related("owner").distinct()
