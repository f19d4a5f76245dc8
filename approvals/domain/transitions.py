"""Moving a request along its graph: transition, event and history row, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db.models import Model
from django_fsm import ConcurrentTransition

from approvals.choices import ENDED_WITHOUT_EFFECT, State
from approvals.domain import plans, usage
from approvals.lifecycle import LEADS_TO
from approvals.models import ActionRequest
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.lib.db import insert_one
from audit.lib.prepared import NextKeys
from audit.lib.writes import Insert, Update, Write, write_together
from audit.services import (
    Entry,
    history_row,
    keep_history_of,
    record_all,
    record_for_many,
)
from connectors.registry import is_by_word

K = TypeVar("K", bound=Model)

POLICY = Actor.system("policy")
INTAKE = Actor.system("intake")
EXECUTOR = Actor.system("executor")
VERIFIER = Actor.system("verifier")
DEADLINES = Actor.system("clocks")


def demand_own_code(code: AuditCode, state: str) -> None:
    """One code means one move: whoever reads the codes alone finds the state. Raises ValueError."""
    if LEADS_TO.get(code) != state:
        raise ValueError(f"{code} is not the event of a move to {state}.")


def _counts_no_more(request: ActionRequest) -> bool:
    if request._state.adding or request.state not in ENDED_WITHOUT_EFFECT:
        return False
    return request.state != State.FAILED or not is_by_word(request.action_type)


@dataclass(slots=True)
class Moves:
    """Moves of one request in memory, written once: one row, its events and its history in bulk.

    The request is locked, or not stored yet. `at` is the time by the database's clock, read after
    the lock.
    """

    request: ActionRequest
    at: datetime
    keys: dict[type[Model], int] = field(default_factory=dict)
    """Drawn before, for the rows of `store_keyed`."""
    _found_in: str = field(init=False)
    """The state as it is stored."""
    _entries: list[Entry] = field(default_factory=list)
    _history: list[Model] = field(default_factory=list)
    _with_them: list[Write] = field(default_factory=list)
    _with_events: list[Write] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._found_in = self.request.state

    def take(
        self,
        transition: Callable[[], None],
        code: AuditCode,
        actor: Actor,
        data: JsonObject | None = None,
    ) -> None:
        """Fire one transition, and note its event and its history row.

        What ends without effect counts towards nothing any more; that an agent's own action
        failed, only the agent says.
        """
        transition()
        demand_own_code(code, self.request.state)
        self.request.updated_at = self.at
        if _counts_no_more(self.request):
            usage.take_out(self.request, at=self.at)
        self.note(code, actor, data or {})

    def note(self, code: AuditCode, actor: Actor, data: JsonObject, *, kind: str = "~") -> None:
        """Note the state the request is in, with its event."""
        self.also(Entry(code, actor, self.request.state, data))
        self.keep(code, actor, kind=kind)

    def keep(self, reason: AuditCode, actor: Actor, *, kind: str = "~") -> None:
        """Note the request as it is now for its history, under that reason."""
        row = history_row(self.request, actor=actor, reason=reason.value, at=self.at, kind=kind)
        self._history.append(row)

    def also(self, entry: Entry) -> None:
        """Note an event that is no move."""
        self._entries.append(entry)

    def store(self, *rows: Model) -> None:
        """Note new rows that are written with the moves; they know their keys afterwards."""
        self._with_them += [Insert(rows)]

    def store_keyed(self, row: K) -> K:
        """`store` of one row that has its key at once, for events and other rows to name."""
        kind = type(row)
        key = self.keys.pop(kind, None) or NextKeys(kind).drawn().get(kind)
        if key is None:
            return insert_one(row)
        row.pk = key
        self.store(row)
        return row

    def change(self, row: Model, *fields: str) -> None:
        """Note fields of a stored row that are written with the moves."""
        self._with_them += [Update.of(row, *fields)]

    def change_on_record(self, row: Model, *fields: str) -> None:
        """`change` of what the database demands an event for: it goes with the events.

        The database looks for the one that is next while the request has not moved.
        """
        self._with_events += [Update.of(row, *fields)]

    def together(self, write: Write) -> None:
        """Note something else that is written with the moves."""
        self._with_them += [write]

    def write(self) -> None:
        """Two statements: the events, then the request, its history and what goes with them.

        The events go first: the database refuses a state that is not on record. Raises
        ConcurrentTransition when the request has left the state it was found in.
        """
        request, has_moved = self.request, bool(self._history)
        record_all(
            self._entries,
            subject=request,
            at=self.at,
            saves_subject=has_moved,
            together_with=self._with_events,
        )
        try:
            write_together(*self._of_request(), Insert(self._history), *self._with_them)
        except LookupError as error:
            raise ConcurrentTransition(str(error)) from None
        request._update_initial_state()
        self._found_in = request.state
        self._entries, self._history = [], []
        self._with_them, self._with_events = [], []
        if has_moved and request.plan_id is not None:
            plans.look_again(request.plan_id, at=self.at)

    def _of_request(self) -> list[Write]:
        if not self._history:
            return []
        if self.request._state.adding:
            return [Insert([self.request])]
        return [Update.of(self.request, state=self._found_in)]


def move(
    request: ActionRequest,
    transition: Callable[[], None],
    code: AuditCode,
    *,
    actor: Actor,
    data: JsonObject | None = None,
) -> None:
    """Fire one transition of a locked request, record it and save it with its history row."""
    moves = Moves(request, db_clock.now())
    moves.take(transition, code, actor, data)
    moves.write()


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """One transition of one locked request; `before`: what is recorded ahead of it."""

    request: ActionRequest
    transition: Callable[[], None]
    data: JsonObject = field(default_factory=dict)
    before: Sequence[Entry] = ()


def move_together(
    moves: Sequence[PlannedMove], code: AuditCode, *, actor: Actor, at: datetime
) -> None:
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
    for plan_id in sorted({r.plan_id for r in requests if r.plan_id is not None}):
        plans.look_again(plan_id, at=at)
    # last: proposals of the same agents wait for their counters
    usage.take_out_all([r for r in requests if r.state in ENDED_WITHOUT_EFFECT], at=at)
