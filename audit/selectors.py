"""Reading the trail for people: the events of one record, each as a sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date, datetime
from string import Formatter
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import TruncHour
from django.utils.formats import date_format

from audit.actors import ActorKind
from audit.events import AuditCode
from audit.lib.dates import format_moment
from audit.lib.db import ID_SLACK
from audit.lib.one_look import once_a_page
from audit.lib.prepared import Given
from audit.models import AuditEvent, Chained
from audit.services import subject_label

_FORMATTER = Formatter()
MOST_SHOWN = 200


def events_of(subject: Chained) -> QuerySet[AuditEvent]:
    """The subject's events, oldest first."""
    return events_about(type(subject), str(subject.pk))


def events_about(kind: type[Chained], subject_id: str | Given) -> QuerySet[AuditEvent]:
    """The events of one record of that kind, oldest first."""
    named = subject_label(kind)
    return AuditEvent.objects.filter(subject_type=named, subject_id=subject_id).order_by("seq")


@once_a_page
def first_events_of(subject: Chained) -> tuple[AuditEvent, ...]:
    """As many of them as a page shows."""
    return tuple(events_of(subject)[:MOST_SHOWN])


def event_id_at(moment: datetime, *, after: bool) -> int:
    """The first event of that time or later, or the last one before it; 0 where there is none."""
    events = AuditEvent.objects.values_list("pk", flat=True)
    if after:
        first = events.filter(at__gte=moment).order_by("at", "id").first()
        return first or event_id_at(moment, after=False)
    return events.filter(at__lt=moment).order_by("-at", "-id").first() or 0


def events_since_hour(hour: datetime) -> QuerySet[Any]:
    """Every event from that full hour on, each with its `hour`, found by id.

    The indexes of codes and of actors go on with the id. The time is compared by the hour, or the
    database would read everything that happened since by the index of times.
    """
    first = event_id_at(hour - ID_SLACK, after=True)
    events = AuditEvent.objects.annotate(hour=TruncHour("at", tzinfo=hour.tzinfo))
    return events.filter(pk__gte=first, hour__gte=hour)


def describe(event: AuditEvent, *, actor: str = "") -> str:
    """The event as one sentence, as plain text (escape it like any other text).

    `actor` is who it was, where the reader knows them by another name than the trail does.
    What the event's data lacks shows as "[name missing]": a trail page is read when things went
    wrong, so it never fails.
    """
    try:
        code = AuditCode(event.code)
    except ValueError:
        return f"[unknown event {event.code}]"
    values = {**data_of(event), "actor": actor or actor_of(event)}
    return "".join(
        literal + (_shown(values, name, kind, code.words) if name else "")
        for literal, name, kind, _ in _FORMATTER.parse(code.sentence)
    )


def actor_of(event: AuditEvent) -> str:
    """The actor as people read it: "person maria"."""
    kinds = dict(ActorKind.choices)
    return f"{kinds.get(event.actor_kind, event.actor_kind)} {event.actor_name}"


def fields_of(code: AuditCode) -> frozenset[str]:
    """The keys an event's data must have so that its sentence is whole."""
    names = {name for _, name, _, _ in _FORMATTER.parse(code.sentence) if name}
    return frozenset(names - {"actor"})


def data_of(event: AuditEvent) -> dict[str, Any]:
    """The event's data; nothing where it is damaged."""
    try:
        data = json.loads(event.data)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _shown(values: dict[str, Any], name: str, kind: str | None, words: dict[str, str]) -> str:
    if name not in values:
        return f"[{name} missing]"
    value = values[name]
    items = value if isinstance(value, list) else [value]
    return ", ".join(words.get(str(item), _spelled(str(item), kind)) for item in items)


def _spelled(text: str, kind: str | None) -> str:
    """A moment or a day as people read it; whatever else it is, as it is."""
    with suppress(ValueError, OverflowError):
        if kind == "moment":
            return format_moment(datetime.fromisoformat(text))
        if kind == "day":
            return date_format(date.fromisoformat(text))
    return text
