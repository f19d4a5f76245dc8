"""Triggers in force: whether a request may run by itself because of them, and how they end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q

from approvals.domain import dispatch
from approvals.domain.derivation import Candidate
from approvals.models import ActionRequest, Agent, FiredTrigger, Notice
from approvals.selectors.pauses import connection_of
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.lib.db import insert_all
from audit.lib.prepared import Given, Prepared, Question
from audit.services import record
from policies.models import User
from policies.roles import CONFIGURING_ROLE
from policies.triggers import SENDS_TO_PEOPLE, Consequence, Per


def triggers_on(candidate: Candidate) -> tuple[str, ...]:
    """The triggers in force that send such a candidate to people, by name."""
    return tuple(dict.fromkeys(trigger for (trigger,) in asked_about(candidate).all()))


def asked_about(candidate: Candidate) -> Question:
    """What `triggers_on` asks."""
    return _IN_FORCE.asking(**_keys(candidate.agent, candidate.type.key, candidate.type.system))


def asked_about_stored(request: ActionRequest) -> Question:
    """The same of a request that is as its columns say."""
    return _IN_FORCE.asking(**_keys(request.agent, request.action_type, request.system))


def tell(fired: FiredTrigger, owners: Iterable[User], *, at: datetime) -> None:
    """Who answers for what it is about and whoever configures learn at once that it fired."""
    done = {"pause": "paused it", "manual": "sent it to people", "demote": "demoted it"}
    subject = f"A trigger {done[fired.then]}: {fired.per} {fired.key}"
    configuring = User.objects.filter(groups__name=CONFIGURING_ROLE)
    people = {user.pk: user for user in (*owners, *configuring) if user.email and user.is_active}
    insert_all(
        [
            Notice(fired=fired, recipient=user, subject=subject, created_at=at, next_attempt_at=at)
            for user in people.values()
        ]
    )
    dispatch.notices()


def end(fired: FiredTrigger, *, actor: Actor, reason: str, at: datetime) -> None:
    """Put on record that a locked trigger is over: from now on causes count anew."""
    fired.ended_at, fired.ended_by, fired.end_reason = at, actor.name, reason[:300]
    fired.save(update_fields=["ended_at", "ended_by", "end_reason"])
    data: JsonObject = {"trigger": fired.trigger, "reason": reason}
    record(AuditCode.TRIGGER_ENDED, actor=actor, subject=fired, data=data, at=at)


def end_with_pause(rows: Q, *, actor: Actor, reason: str, at: datetime) -> None:
    """End the triggers whose pause has just been lifted; `rows` says which."""
    paused = FiredTrigger.objects.select_for_update().filter(
        rows, ended_at=None, then=Consequence.PAUSE.value
    )
    for fired in paused.order_by("pk"):
        end(fired, actor=actor, reason=reason or "The pause was lifted.", at=at)


def _keys(agent: Agent, action_type: str, system: str) -> dict[str, str]:
    return {
        "agent": agent.name,
        "action_type": action_type,
        "connection": connection_of(action_type, system),
    }


_IN_FORCE: Prepared[tuple[str]] = Prepared(
    lambda: (
        FiredTrigger.objects.filter(
            Q(per=Per.AGENT.value, key=Given("agent"))
            | Q(per=Per.ACTION_TYPE.value, key=Given("action_type"))
            | Q(per=Per.CONNECTION.value, key=Given("connection")),
            ended_at=None,
            then__in=[one.value for one in SENDS_TO_PEOPLE],
        )
        .order_by("pk")
        .values_list("trigger")
    )
)
