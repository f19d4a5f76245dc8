"""Moving a request along its graph: transition, event and history row, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from approvals.choices import ENDED_WITHOUT_EFFECT
from approvals.domain import usage
from approvals.lifecycle import LEADS_TO
from approvals.models import ActionRequest
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import (
    Entry,
    keep_history_of,
    record_all,
    record_for_many,
    save_with_history,
)

POLICY = Actor.system("policy")
INTAKE = Actor.system("intake")
EXECUTOR = Actor.system("executor")
VERIFIER = Actor.system("verifier")
DEADLINES = Actor.system("clocks")


def demand_own_code(code: AuditCode, state: str) -> None:
    """One code means one move: whoever reads the codes alone finds the state. Raises ValueError."""
    if LEADS_TO.get(code) != state:
        raise ValueError(f"{code} is not the event of a move to {state}.")


def move(
    request: ActionRequest,
    transition: Callable[[], None],
    code: AuditCode,
    *,
    actor: Actor,
    data: JsonObject | None = None,
) -> None:
    """Fire one transition of a locked request, record it and save it with its history row.

    The event goes first: the database refuses a state that is not on record. What ends without
    effect counts towards nothing any more.
    """
    transition()
    demand_own_code(code, request.state)
    request.updated_at = db_clock.now()
    if request.state in ENDED_WITHOUT_EFFECT:
        usage.take_out(request, at=request.updated_at)
    entry = Entry(code, actor, request.state, data or {})
    record_all([entry], subject=request, at=request.updated_at, saves_subject=True)
    save_with_history(request, actor=actor, reason=code.value, at=request.updated_at)


@dataclass(frozen=True, slots=True)
class Move:
    """One transition of one locked request; `before`: what is recorded ahead of it."""

    request: ActionRequest
    transition: Callable[[], None]
    data: JsonObject = field(default_factory=dict)
    before: Sequence[Entry] = ()


def move_together(moves: Sequence[Move], code: AuditCode, *, actor: Actor, at: datetime) -> None:
    """`move` for many requests that go to the same state, in one statement for each table."""
    recorded = []
    for one in moves:
        request = one.request
        one.transition()
        demand_own_code(code, request.state)
        request.updated_at = at
        recorded.append((request, [*one.before, Entry(code, actor, request.state, one.data)]))
    record_for_many(recorded, at=at, saving=("state", "updated_at"))
    requests = [one.request for one in moves]
    ids = [request.pk for request in requests]
    keep_history_of(ActionRequest, ids, actor=actor, reason=code.value, at=at)
    # last: proposals of the same agents wait for their counters
    usage.take_out_all([r for r in requests if r.state in ENDED_WITHOUT_EFFECT], at=at)
