"""Writing the trail: inside the caller's transaction, or not at all."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.db import DatabaseError, models, transaction

from audit import chain
from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject, canonical
from audit.lib.db import insert_all, refuses_inserts, update_rows
from audit.lib.writes import Insert, Write, write_together
from audit.models import AuditEvent, AuditStream, Chained


class OutsideTransaction(RuntimeError):
    """An event was to be recorded outside a transaction: it could survive without its change."""


class TrailUnwritable(DatabaseError):
    """The database refuses events. What cannot be recorded does not happen."""


class ChainMoved(RuntimeError):
    """The subject's chain is longer than the instance in hand knows: lock the row, then look."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event still to be written. Without `state`, the subject's own state is kept with it."""

    code: AuditCode
    actor: Actor
    state: str = ""
    data: JsonObject = field(default_factory=dict)


def record(
    code: AuditCode,
    *,
    actor: Actor,
    subject: Chained,
    state: str = "",
    data: JsonObject | None = None,
    at: datetime | None = None,
) -> AuditEvent:
    """Append one event to the subject's chain. See `record_all`."""
    return record_all([Entry(code, actor, state, data or {})], subject=subject, at=at)[0]


def record_all(
    entries: Sequence[Entry],
    *,
    subject: Chained,
    at: datetime | None = None,
    saves_subject: bool = False,
    together_with: Sequence[Write] = (),
) -> list[AuditEvent]:
    """Append events to the subject's chain, in order, in one statement.

    `at` is the time by the database's clock, for a caller who has just read it; else it is asked.
    `saves_subject` is for a caller who saves the whole subject next, and the chain's new head
    with it; then one appended meanwhile is an IntegrityError. `together_with` is written in the
    same statement: rows whose change the database demands the next event for. The caller holds the
    subject's row lock, or the subject is not saved yet: then the new head goes in with the
    subject's own INSERT. Raises OutsideTransaction when no transaction is open, ChainMoved when
    somebody appended since the subject was read, TrailUnwritable when the database refuses events,
    and ValueError for a subject without an id, and for names that hold control characters or do
    not fit their column.
    """
    if not transaction.get_connection().in_atomic_block:
        raise OutsideTransaction("record() needs the transaction of the change it records.")
    now = db_clock.now() if at is None else at
    seq, head = subject.audit_seq, subject.audit_head
    keys = chain.keyring()
    events = []
    for entry in entries:
        seq += 1
        event = _event(entry, subject, seq, head, now, keys)
        head = event.mac
        events.append(event)
    with _trail_is_writable():
        write_together(Insert(events), *together_with)
    if not subject._state.adding and not saves_subject:
        moved = type(subject)._base_manager.filter(pk=subject.pk, audit_seq=subject.audit_seq)
        if not moved.update(audit_seq=seq, audit_head=head):
            raise ChainMoved(f"{subject._meta.label} {subject.pk} has newer events.")
    subject.audit_seq, subject.audit_head = seq, head
    return events


def record_for_many(
    subjects: Sequence[tuple[Chained, Sequence[Entry]]],
    *,
    at: datetime,
    saving: Sequence[str] = (),
) -> None:
    """`record_all` for many subjects of one kind, in one statement each for events and subjects.

    The subjects are saved rows whose locks the caller holds. `saving` names fields of theirs that
    are stored with the chains' new heads; who has no entries is stored with the old one. Entries
    say the state they lead to. Raises what `record_all` raises.
    """
    if not transaction.get_connection().in_atomic_block:
        raise OutsideTransaction("record_for_many() needs the transaction of the changes.")
    keys = chain.keyring()
    events, rows = [], []
    for subject, entries in subjects:
        seq, head = subject.audit_seq, subject.audit_head
        for entry in entries:
            seq += 1
            event = _event(entry, subject, seq, head, at, keys)
            head = event.mac
            events.append(event)
        subject.audit_seq, subject.audit_head = seq, head
        values = [getattr(subject, name) for name in saving]
        rows.append((subject.pk, seq, head, *values))
    with _trail_is_writable():  # a second event of one number is refused: no chain has moved
        insert_all(events)
    if rows:
        names = ("audit_seq", "audit_head", *saving)
        kind = type(subjects[0][0])
        given = dict.fromkeys(names, "{given}")
        if update_rows(kind, rows, by=[kind._meta.pk.name], moves=given) != len(rows):
            raise ChainMoved(f"A {kind._meta.label} whose events were recorded is not there.")


def try_to_record() -> None:
    """Record one event and take it back; raises TrailUnwritable when the trail takes none."""
    trial = AuditStream(name=f"trial-{uuid4().hex}")
    with transaction.atomic():
        record(AuditCode.ROLES_SYNCED, actor=Actor.system("readiness"), subject=trial)
        transaction.set_rollback(True)


def stream(name: str) -> AuditStream:
    """The named stream, locked: the subject for events that belong to no other record."""
    AuditStream.objects.get_or_create(name=name)
    return AuditStream.objects.select_for_update().get(name=name)


def _event(
    entry: Entry, subject: Chained, seq: int, head: str, now: datetime, keys: chain.Keyring
) -> AuditEvent:
    event = AuditEvent(
        subject_type=subject_label(subject),
        subject_id=_subject_id(subject),
        seq=seq,
        code=AuditCode(entry.code),
        actor_kind=ActorKind(entry.actor.kind),
        actor_id=_plain(entry.actor.id, "actor_id"),
        actor_name=_plain(entry.actor.name, "actor_name"),
        at=now,
        state=_plain(str(entry.state or getattr(subject, "state", "")), "state"),
        data=canonical(entry.data),
        key_id=keys.current,
    )
    covered = chain.message(
        head,
        event.subject_type,
        event.subject_id,
        seq,
        event.code,
        event.actor_kind,
        event.actor_id,
        event.actor_name,
        chain.moment(now),
        event.state,
        event.data,
    )
    event.mac = chain.mac(keys.keys[keys.current], covered)
    return event


@contextmanager
def _trail_is_writable() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        if refuses_inserts(error):
            raise TrailUnwritable("The trail takes no events.") from error
        raise


def _width(column: str) -> int:
    width = AuditEvent._meta.get_field(column).max_length  # type: ignore[union-attr]
    return int(width or 0)


_WIDTHS = {name: _width(name) for name in ("subject_id", "actor_id", "actor_name", "state")}


def _plain(text: str, column: str) -> str:
    """Names and ids go into the MAC's message line by line: no control characters.

    Lengths are checked here because SQLite would store what PostgreSQL refuses.
    """
    if not text.isprintable() and any(unicodedata.category(c) == "Cc" for c in text):
        raise ValueError(f"An event's {column} must not contain control characters.")
    if len(text) > _WIDTHS[column]:
        raise ValueError(f"An event's {column} has at most {_WIDTHS[column]} characters.")
    return text


def _subject_id(subject: Chained) -> str:
    if subject.pk is None:
        raise ValueError("The subject needs its primary key before its first event: save it first.")
    return _plain(str(subject.pk), "subject_id")


def subject_label(subject: models.Model | type[models.Model]) -> str:
    """How the trail names a kind of record: "approvals.actionrequest", proxies included."""
    concrete = subject._meta.concrete_model
    assert concrete is not None  # noqa: S101 - only what is abstract has none
    return concrete._meta.label_lower


def save_with_history(
    instance: models.Model,
    *,
    actor: Actor,
    reason: str,
    update_fields: Iterable[str] | None = None,
    at: datetime | None = None,
) -> None:
    """Save and stamp the one history row of this save with who, why and when.

    `at` is the time by the database's clock, for a caller who has just read it; else it is asked.
    simple-history reads all three from attributes that stay on the instance, so they are cleared
    here before they can stamp the next save.
    """
    instance._change_reason = _stamp(actor, reason)  # type: ignore[attr-defined]
    instance._history_user = _history_user(actor)  # type: ignore[attr-defined]
    instance._history_date = db_clock.now() if at is None else at  # type: ignore[attr-defined]
    try:
        instance.save(update_fields=update_fields)
    finally:
        del instance._change_reason  # type: ignore[attr-defined]
        del instance._history_user  # type: ignore[attr-defined]
        del instance._history_date  # type: ignore[attr-defined]


def history_row(
    instance: Any, *, actor: Actor, reason: str, at: datetime, kind: str = "~"
) -> models.Model:
    """Build (not save) the history row of the instance as it is now.

    For set-based writing: several moves in memory, their history inserted in one statement.
    `at` is the time by the database's clock; `kind` is simple-history's "+" for created, "~" for
    changed.
    """
    own: Any = type(instance)
    history = _history_of(own)
    values = {f.attname: getattr(instance, f.attname) for f in history.tracked_fields}
    row: models.Model = history(
        history_date=at,
        history_type=kind,
        history_change_reason=_stamp(actor, reason),
        history_user=_history_user(actor),
        **values,
    )
    return row


def keep_history_of(
    model: type[models.Model], ids: Sequence[Any], *, actor: Actor, reason: str, at: datetime
) -> None:
    """Copy these rows, as they stand now, into their history, in one statement.

    For set-based writing by the system; `history_row` builds the same row. `at` is the time by the
    database's clock.
    """
    history = _history_of(model)
    kept = [str(field.column) for field in history.tracked_fields]
    stamped = {
        "history_date": at,
        "history_type": "~",
        "history_change_reason": _stamp(actor, reason),
        "history_user": None,
    }
    fields = [history._meta.get_field(name) for name in stamped]
    connection = transaction.get_connection()
    key: Any = model._meta.pk
    values = [
        *(f.get_db_prep_save(v, connection) for f, v in zip(fields, stamped.values(), strict=True)),
        *(key.get_db_prep_value(one, connection) for one in ids),
    ]
    table, own = connection.ops.quote_name(model._meta.db_table), ", ".join(f'"{c}"' for c in kept)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {history._meta.db_table} ({own}, "  # noqa: S608 - our own names
            f"{', '.join(str(f.column) for f in fields)}) "
            f"SELECT {own}, %s, %s, %s, %s FROM {table} "
            f"WHERE {key.column} IN ({', '.join(['%s'] * len(ids))})",
            values,
        )


@cache
def _history_of(model: Any) -> Any:
    """The model of its history rows; simple-history makes a class of managers at every look."""
    return model.history.model


def _stamp(actor: Actor, reason: str) -> str:
    return f"{actor}: {reason}"


def _history_user(actor: Actor) -> models.Model | None:
    """A stand-in with the primary key only: the foreign key needs no more, and no query."""
    if actor.kind != ActorKind.HUMAN:
        return None
    return get_user_model()(pk=int(actor.id))
