"""What was said about a request and what happened to it, as the lines people read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from approvals.inspection import inspect, reveal
from approvals.models import ThreadEntry
from approvals.selectors.evidence_view import flag_words
from audit.actors import ActorKind
from audit.models import AuditEvent
from audit.selectors import actor_of, describe


@dataclass(frozen=True, slots=True)
class ThreadLine:
    by: str
    is_agent: bool
    for_people: bool
    body: str
    flags: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class HistoryLine:
    at: datetime
    actor: str  # "" where the sentence begins with it
    sentence: str


def thread_line(entry: ThreadEntry) -> ThreadLine:
    """The entry, with what the detectors found in it when an agent wrote it."""
    is_agent = entry.actor_kind == ActorKind.AGENT
    return ThreadLine(
        by=reveal(entry.actor_name),
        is_agent=is_agent,
        for_people=entry.for_people,
        body=reveal(entry.body),
        flags=flag_words(inspect(entry.body), entry.body) if is_agent else (),
        at=entry.created_at,
    )


def history_line(event: AuditEvent) -> HistoryLine:
    """The event as a sentence."""
    actor, sentence = reveal(actor_of(event)), reveal(describe(event))
    return HistoryLine(event.at, "" if sentence.startswith(actor) else actor, sentence)
