"""Proving the trail: every chain unbroken, every row where its chain says it is.

`check_chains` is pure over rows. What it cannot see, the ends of chains, is compared with the
rows of every Chained model. Both stop at the first bad record, in chain order.

What a chain alone cannot show: whoever may rewrite the database can cut a chain's end and put
the older MAC into the subject's row. Checkpoints kept outside the database are for that."""

from __future__ import annotations

import hmac
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

import django
from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.db.models import Q

from audit import chain
from audit.models import AuditEvent, Chained
from audit.reading import (
    EVERYTHING,
    Row,
    Span,
    Subject,
    exported_snapshot,
    one_snapshot,
    rows_in_chain_order,
    spans,
)
from audit.services import subject_label

_BATCH = 1_000  # subjects whose rows are fetched in one query


Kinds = Mapping[str, type[Chained]]  # what the trail calls a kind of record, and its model


class Check(StrEnum):
    """What a bad record failed."""

    SEQUENCE = "sequence"  # 1, 2, 3, ... without a gap
    KEY = "key"  # signed with a key of this deployment
    MAC = "mac"  # covers its columns and the event before it
    ROW_MISSING = "row missing"  # a chain whose record is gone
    CHAIN_MISSING = "chain missing"  # a record whose chain is gone
    HEAD = "head"  # the record carries its chain's end
    STATE = "state"  # the record is in the state its last move led to


@dataclass(frozen=True, slots=True)
class Problem:
    """One bad record. `seq` and `event_id` are None when there is no event to point at."""

    check: Check
    subject: Subject
    seq: int | None
    event_id: int | None
    sentence: str

    def __str__(self) -> str:
        where = f"{self.subject.type} {self.subject.id}"
        if self.seq is not None:
            where += f", seq {self.seq}"
        if self.event_id is not None:
            where += f", event {self.event_id}"
        said = f"{where}: {self.sentence} (check: {self.check})"
        return said.encode(errors="backslashreplace").decode()  # bytes that are no text


class ChainEnd(NamedTuple):
    """Where a sound chain ends: what its record must carry. `seq` is also how many events."""

    subject: Subject
    seq: int
    event_id: int
    mac: str
    state: str


@dataclass(slots=True)
class Report:
    """What was looked at, and the first bad record if there is one."""

    events: int = 0
    problem: Problem | None = None
    chains: Counter[str] = field(default_factory=Counter)  # sound chains by subject type

    @property
    def subjects(self) -> int:
        return self.chains.total()


def check_chains(rows: Iterable[Row], keys: chain.Keyring) -> Iterator[ChainEnd | Problem]:
    """Yield the end of each sound chain, or the first problem and nothing after it.

    `rows` come chain by chain, each by seq.
    """
    primed = {name: hmac.new(key, digestmod="sha256") for name, key in keys.keys.items()}
    current_type: str | None = None
    current_id: str | None = None
    last_seq = event = 0
    head = chain.GENESIS
    last_state = ""
    for row in rows:  # plain tuples: names would cost a fifth of the walk
        event_id, key_id, mac, subject_type, subject_id, seq = row[:6]
        if subject_id != current_id or subject_type != current_type:
            if current_type is not None and current_id is not None:
                subject = Subject(current_type, current_id)
                yield ChainEnd(subject, last_seq, event, head, last_state)
            current_type, current_id = subject_type, subject_id
            last_seq, head, last_state = 0, chain.GENESIS, ""
        last_seq += 1
        if seq != last_seq:
            yield _gap(Subject(subject_type, subject_id), last_seq, seq, event_id)
            return
        key = primed.get(key_id)
        if key is None:
            yield Problem(
                Check.KEY,
                Subject(subject_type, subject_id),
                seq,
                event_id,
                f"It is signed with key {key_id!r}, which is neither AUDIT_KEY nor retired.",
            )
            return
        covering = key.copy()  # with the key hashed once: a third less than `hmac.digest`
        covering.update(chain.message(head, *row[3:]))
        if covering.hexdigest() != mac:
            yield Problem(
                Check.MAC,
                Subject(subject_type, subject_id),
                seq,
                event_id,
                "Its MAC does not cover its columns after the event before it: it was changed, "
                "inserted or moved here.",
            )
            return
        head, event = mac, event_id
        last_state = row[-2] or last_state
    if current_type is not None and current_id is not None:
        yield ChainEnd(Subject(current_type, current_id), last_seq, event, head, last_state)


def check_rows(ends: Sequence[ChainEnd], kinds: Kinds) -> Iterator[Problem]:
    """Compare chain ends with the records they belong to, one query per kind of record."""
    rows: dict[tuple[str, str], tuple[Any, ...]] = {}
    for label in {end.subject.type for end in ends} & kinds.keys():
        ids = [end.subject.id for end in ends if end.subject.type == label]
        for pk, *carried in _carried(kinds[label]).filter(pk__in=ids):
            rows[label, str(pk)] = tuple(carried)
    for end in ends:
        row = rows.get(end.subject)
        if row not in ((end.seq, end.mac), (end.seq, end.mac, end.state)):
            yield _row_problem(end, row)


def check_no_chain_is_missing(chains: Counter[str], kinds: Kinds) -> Problem | None:
    """Find a record that says it has events (or is in a state) and has no chain.

    `chains` counts the sound chains whose record was found, by subject type. Equal counts mean
    that nothing is missing; only a difference is worth looking for the record.
    """
    for label, model in kinds.items():
        claims = ~Q(audit_seq=0) | ~Q(audit_head="")
        if _has_state(model):
            claims |= ~Q(state="")
        claiming = _carried(model).filter(claims)
        if claiming.count() != chains[label]:
            return _first_without_chain(label, claiming.order_by("pk").iterator(_BATCH))
    return None


def verify_span(keys: chain.Keyring, kinds: Kinds, span: Span = EVERYTHING) -> Report:
    """Check the chains of the span and their records; all of them unless told otherwise."""
    report = Report()
    waiting: list[ChainEnd] = []
    for found in check_chains(rows_in_chain_order(span), keys):
        if isinstance(found, Problem):
            # An earlier chain's record may be bad too, and is then the first.
            report.problem = next(check_rows(waiting, kinds), found)
            return report
        report.events += found.seq
        report.chains[found.subject.type] += 1
        waiting.append(found)
        if len(waiting) == _BATCH:
            report.problem = next(check_rows(waiting, kinds), None)
            if report.problem:
                return report
            waiting.clear()
    report.problem = next(check_rows(waiting, kinds), None)
    return report


def verify(keys: chain.Keyring | None = None, kinds: Kinds | None = None) -> Report:
    """Check the whole trail, with this deployment's keys and kinds of record unless given others.

    Call it inside `reading.one_snapshot`.
    """
    kinds = chained_models() if kinds is None else kinds
    report = verify_span(keys or chain.keyring(), kinds)
    report.problem = report.problem or check_no_chain_is_missing(report.chains, kinds)
    return report


def chained_models() -> Kinds:
    """Every kind of record with a chain, by the name the trail gives it."""
    return {
        subject_label(model): model
        for model in apps.get_models()
        if issubclass(model, Chained) and not model._meta.proxy
    }


def _gap(subject: Subject, expected: int, found: int, event_id: int) -> Problem:
    return Problem(
        Check.SEQUENCE,
        subject,
        expected,
        event_id,
        f"Event {expected} of this chain is missing; the next one found has seq {found}.",
    )


def _has_state(model: type[Chained]) -> bool:
    return any(f.name == "state" for f in model._meta.concrete_fields)


def _carried(model: type[Chained]) -> models.QuerySet[Any, tuple[Any, ...]]:
    fields = ["pk", "audit_seq", "audit_head"]
    if _has_state(model):
        fields.append("state")
    return model._base_manager.order_by().values_list(*fields)


def _row_problem(end: ChainEnd, row: tuple[Any, ...] | None) -> Problem:
    """What is wrong with a record that does not carry its chain's end."""
    if row is None:
        check, sentence = Check.ROW_MISSING, "Its chain is there but the record itself is gone."
    elif row[0] > end.seq:
        check = Check.HEAD
        sentence = f"The record counts {row[0]} events but the chain ends here: the rest is gone."
    elif row[0] < end.seq:
        check = Check.HEAD
        sentence = f"The record counts {row[0]} events but the chain goes on to here."
    elif row[1] != end.mac:
        check, sentence = Check.HEAD, "The record does not carry the MAC its chain ends with."
    else:
        check = Check.STATE
        sentence = f"The record is in state {row[2]!r} but its events lead to {end.state!r}."
    return Problem(check, end.subject, end.seq, end.event_id, sentence)


def _first_without_chain(label: str, rows: Iterator[tuple[Any, ...]]) -> Problem:
    while batch := list(islice(rows, _BATCH)):
        ids = [str(pk) for pk, *_ in batch]
        chained = set(
            AuditEvent.objects.filter(subject_type=label, subject_id__in=ids, seq=1)
            .order_by()
            .values_list("subject_id", flat=True)
        )
        for pk, *carried in batch:
            if str(pk) not in chained:
                seq, _, *state = carried
                sentence = f"The record counts {seq} events but has none in the trail."
                if state and state[0]:
                    sentence += f" It is in state {state[0]!r}."
                return Problem(Check.CHAIN_MISSING, Subject(label, str(pk)), None, None, sentence)
    raise RuntimeError("The trail changed while it was read: verify it inside one_snapshot().")


def verify_in_parallel(jobs: int) -> Report:
    """Check the whole trail with that many processes. Call it inside `one_snapshot`.

    Spans of chains go to separate processes under this transaction's exported snapshot. The
    problem reported is the first in chain order, as with one process.
    """
    snapshot = exported_snapshot()
    tasks = [(connection.settings_dict, snapshot, span) for span in spans(jobs)]
    # a fresh process inherits the environment and nothing else, however the parent got its settings
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings.SETTINGS_MODULE)
    fresh = multiprocessing.get_context("spawn")  # a forked child would share our connection
    with ProcessPoolExecutor(jobs, mp_context=fresh, initializer=django.setup) as pool:
        parts = list(pool.map(_verify_part, tasks))
    whole = Report()
    for part in parts:
        whole.events += part.events
        whole.chains += part.chains
        if part.problem:
            whole.problem = part.problem
            return whole
    whole.problem = check_no_chain_is_missing(whole.chains, chained_models())
    return whole


def _verify_part(task: tuple[dict[str, Any], str, Span]) -> Report:
    database, snapshot, span = task
    connection.settings_dict.update(database)  # the very database the parent reads
    with one_snapshot(shared=snapshot):
        return verify_span(chain.keyring(), chained_models(), span)
