"""The trail on screen: read, filter, nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter, TextFilter
from unfold.decorators import display

from audit import chain
from audit.actors import ActorKind
from audit.events import AuditCode
from audit.models import AuditEvent
from audit.read_only_admin import ReadOnlyAdmin
from audit.selectors import actor_of, describe
from audit.verify import chained_models

Choices = list[tuple[str, str]]


def _one_of(title: str, column: str, choices: Callable[[], Choices]) -> type[DropdownFilter]:
    """A filter over choices the code knows: Django's own would SELECT DISTINCT the column."""

    class OneOf(DropdownFilter):  # type: ignore[misc]
        parameter_name = column

        def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
            return choices()

        def queryset(
            self, request: HttpRequest, queryset: QuerySet[AuditEvent]
        ) -> QuerySet[AuditEvent]:
            return queryset.filter(**{column: self.value()}) if self.value() else queryset

    OneOf.title = title
    return OneOf


def _equal_to(title: str, column: str) -> type[TextFilter]:
    """A filter for one exact value, typed in; served by an index."""

    class EqualTo(TextFilter):  # type: ignore[misc]
        parameter_name = column

        def queryset(
            self, request: HttpRequest, queryset: QuerySet[AuditEvent]
        ) -> QuerySet[AuditEvent]:
            value = (self.value() or "").strip()
            return queryset.filter(**{column: value}) if value else queryset

    EqualTo.title = title
    return EqualTo


class _Bound(TextFilter):  # type: ignore[misc]
    """One end of a time range; a date or a date with a time. What is neither matches nothing."""

    lookup: str
    day_offset = timedelta()

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent]
    ) -> QuerySet[AuditEvent]:
        text = (self.value() or "").strip()
        if not text:
            return queryset
        moment = self._moment(text)
        return queryset.filter(**{self.lookup: moment}) if moment else queryset.none()

    def _moment(self, text: str) -> datetime | None:
        try:
            if day := parse_date(text):
                midnight = datetime.combine(day, datetime.min.time())
                return timezone.make_aware(midnight) + self.day_offset
            moment = parse_datetime(text)
            return timezone.make_aware(moment) if moment and timezone.is_naive(moment) else moment
        except (ValueError, OverflowError):
            return None


class FromFilter(_Bound):
    title = "from (date or time)"
    parameter_name = "since"
    lookup = "at__gte"


class UntilFilter(_Bound):
    """A plain date includes that day."""

    title = "until (date or time)"
    parameter_name = "until"
    lookup = "at__lt"
    day_offset = timedelta(days=1)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "code", "sentence", "actor", "subject", "seq")
    list_display_links = ("at",)
    ordering = ("-id",)
    search_fields = ("subject_id", "actor_name")  # shows the box; get_search_results decides
    search_help_text = "The whole id of a record, or the beginning of an actor's name."
    list_filter = (
        _one_of("kind of actor", "actor_kind", lambda: list(ActorKind.choices)),
        _equal_to("actor id", "actor_id"),
        _one_of("kind of record", "subject_type", lambda: [(n, n) for n in chained_models()]),
        _equal_to("record id", "subject_id"),
        _one_of("code", "code", lambda: [(code.value, code.value) for code in AuditCode]),
        FromFilter,
        UntilFilter,
    )
    list_filter_submit = True
    fields = (
        "sentence", "at", "code", "actor", "subject", "seq", "state", "pretty_data",
        "previous_mac", "mac", "key_id",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="what happened")  # type: ignore[untyped-decorator]
    def sentence(self, event: AuditEvent) -> str:
        return describe(event)

    @display(description="actor")  # type: ignore[untyped-decorator]
    def actor(self, event: AuditEvent) -> str:
        return actor_of(event)

    @display(description="record")  # type: ignore[untyped-decorator]
    def subject(self, event: AuditEvent) -> SafeString:
        return format_html("{} <code>{}</code>", event.subject_type, event.subject_id)

    @display(description="data")  # type: ignore[untyped-decorator]
    def pretty_data(self, event: AuditEvent) -> SafeString:
        try:
            pretty = json.dumps(json.loads(event.data), indent=2, ensure_ascii=True)
        except ValueError:
            pretty = event.data
        return format_html('<pre class="whitespace-pre-wrap">{}</pre>', pretty)

    @display(description="MAC of the event before it")  # type: ignore[untyped-decorator]
    def previous_mac(self, event: AuditEvent) -> str:
        before = AuditEvent.objects.filter(
            subject_type=event.subject_type, subject_id=event.subject_id, seq=event.seq - 1
        )
        return before.values_list("mac", flat=True).first() or chain.GENESIS or "none, it is first"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        """An exact record id, found by the chain's index; otherwise an actor's name prefix."""
        term = search_term.strip()
        if not term:
            return queryset, False
        of_record = queryset.filter(subject_type__in=list(chained_models()), subject_id=term)
        if of_record.exists():
            return of_record, False
        return queryset.filter(actor_name__startswith=term), False
