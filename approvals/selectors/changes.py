"""One agent's requests in the order of their last change: one call for all that are waited for.

A change is stamped before it is committed, so one that is seen later may carry an earlier time.
Until a change has settled, the cursor does not pass it but remembers that it was told: nothing is
missed, and nothing is told twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Q

from approvals.models import ActionRequest, Agent
from audit.lib import db_clock
from audit.lib.canonical import digest

SETTLED_AFTER = timedelta(seconds=30)
"""No transaction takes longer from its time to its commit."""
A_PAGE = 50
MOST_REMEMBERED = 200
"""Changes a cursor remembers that have not settled; further ones are told once others have."""
LATEST = "latest"
"""The cursor of whoever wants only what changes from now on."""

_MARK = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_ID = UUID(int=0)
_LAST_ID = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to here has been told, and of what is later that which is marked."""

    at: datetime = _EPOCH
    request_id: UUID = _FIRST_ID
    told: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """As it travels in an address."""
        return f"{_micros(self.at)}-{self.request_id.hex}-{''.join(sorted(self.told))}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """The cursor that text is; ValueError for one of somebody's own making."""
        micros, hexadecimal, told = text.split("-")
        if not (text.isascii() and micros.isdigit() and len(micros) <= 16):
            raise ValueError(text[:50])
        if len(told) % _MARK or len(told) > _MARK * MOST_REMEMBERED:
            raise ValueError(text[:50])
        marks = (told[at : at + _MARK] for at in range(0, len(told), _MARK))
        at = _EPOCH + int(micros) * _MICROSECOND
        return cls(at, UUID(hex=hexadecimal), frozenset(marks))


@dataclass(frozen=True, slots=True)
class Changes:
    """The ids of what has changed, in order, and where to go on."""

    request_ids: tuple[UUID, ...]
    cursor: Cursor
    more: bool
    """Whether there are further changes at once."""


def changes_after(agent: Agent, cursor: Cursor) -> Changes:
    """The agent's requests that have changed after that, the earliest change first."""
    at, rows = _rows_after(agent, cursor)
    position = (cursor.at, cursor.request_id)
    found: list[UUID] = []
    told: set[str] = set()
    left = set(cursor.told)
    for pk, updated_at in rows:
        mark, is_settled = _mark(pk, updated_at), updated_at <= at - SETTLED_AFTER
        is_new = mark not in cursor.told
        if is_new and (len(found) == A_PAGE or (not is_settled and len(told) == MOST_REMEMBERED)):
            # what was told of those behind stays told
            return Changes(tuple(found), Cursor(*position, frozenset(told | left)), more=True)
        left.discard(mark)
        if is_new:
            found.append(pk)
        if is_settled:
            position = (updated_at, pk)
        else:
            told.add(mark)
    return Changes(tuple(found), Cursor(*position, frozenset(told)), more=False)


def latest(agent: Agent) -> Cursor:
    """Where only later changes follow."""
    since = Cursor(db_clock.now() - SETTLED_AFTER, _LAST_ID)
    _, rows = _rows_after(agent, since)
    if len(rows) > MOST_REMEMBERED:
        return Cursor(rows[-1][1], rows[-1][0])
    return Cursor(since.at, since.request_id, frozenset(_mark(*row) for row in rows))


def _rows_after(agent: Agent, cursor: Cursor) -> tuple[datetime, list[tuple[UUID, datetime]]]:
    """The time now, and id and time of what has changed after that: a page, and what was told."""
    changed = ActionRequest.objects.filter(agent=agent, updated_at__gte=cursor.at)
    later = changed.filter(Q(updated_at__gt=cursor.at) | Q(pk__gt=cursor.request_id))
    in_order = later.order_by("updated_at", "id").annotate(asked_at=db_clock.now_in_query())
    rows = list(
        in_order.values_list("pk", "updated_at", "asked_at")[: A_PAGE + MOST_REMEMBERED + 1]
    )
    at = rows[0][2] if rows else cursor.at
    return at, [(pk, updated_at) for pk, updated_at, _ in rows]


def _micros(at: datetime) -> int:
    """Since 1970: what a moment is to a database."""
    return (at - _EPOCH) // _MICROSECOND


def _mark(request_id: UUID, updated_at: datetime) -> str:
    return digest(f"{request_id} {_micros(updated_at)}")[:_MARK]
