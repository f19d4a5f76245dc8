"""The trail on screen: read, filter, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseBase
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from unfold.decorators import display

from audit import chain
from audit.actors import ActorKind
from audit.events import AuditCode
from audit.lib.admin import ReadOnlyAdmin
from audit.lib.admin_filters import between, equal_to, one_of
from audit.lib.csv_export import csv_file
from audit.lib.dates import format_record_moment
from audit.lib.db import begins_with
from audit.models import AuditEvent
from audit.selectors import actor_of, describe, event_id_at
from audit.verify import chained_models

MOST_EXPORTED = 10_000
"""Lines of one file; older ones are reached by filters."""

_EXPORTED = ("what happened", "actor", "time", "kind of record", "record", "page", "seq", "code")


def _page_of(event: AuditEvent) -> str:
    """The page of the record the event is about; "" for one without a page."""
    name = f"admin:{event.subject_type.replace('.', '_')}_change"
    try:
        return reverse(name, args=[event.subject_id])
    except NoReverseMatch:
        return ""


class _OfRecord(equal_to("record id", "subject_id")):  # type: ignore[misc]
    """Asked with every kind of record there is, as the index of chains begins with that."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> Any:
        found = super().queryset(request, queryset)
        return found.filter(subject_type__in=list(chained_models())) if self.value() else found


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("time", "sentence", "actor", "subject", "seq", "code")
    list_display_links = ("time",)
    ordering = ("-id",)
    search_fields = ("subject_id", "actor_name")  # shows the box; get_search_results decides
    search_help_text = "The whole id of a record, or the beginning of an actor's name."
    list_filter = (
        one_of("kind of actor", "actor_kind", lambda: list(ActorKind.choices)),
        equal_to("actor id", "actor_id"),
        one_of("kind of record", "subject_type", lambda: [(n, n) for n in chained_models()]),
        _OfRecord,
        one_of("code", "code", lambda: [(code.value, code.value) for code in AuditCode]),
        *between("at", event_id_at),
    )
    list_filter_submit = True
    list_before_template = "admin/audit/export.html"
    fields = (
        "sentence", "time", "code", "actor", "subject", "seq", "state", "pretty_data",
        "previous_mac", "mac", "key_id",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="time")  # type: ignore[untyped-decorator]
    def time(self, event: AuditEvent) -> str:
        return format_record_moment(event.at)

    @display(description="what happened")  # type: ignore[untyped-decorator]
    def sentence(self, event: AuditEvent) -> str:
        return describe(event)

    @display(description="actor")  # type: ignore[untyped-decorator]
    def actor(self, event: AuditEvent) -> str:
        return actor_of(event)

    @display(description="record")  # type: ignore[untyped-decorator]
    def subject(self, event: AuditEvent) -> SafeString:
        kind, pk, page = event.subject_type, event.subject_id, _page_of(event)
        if not page:
            return format_html("{} <code>{}</code>", kind, pk)
        return format_html(
            '{} <a class="text-primary-600 dark:text-primary-500" href="{}"><code>{}</code></a>',
            kind, page, pk,
        )  # fmt: skip

    @display(description="data")  # type: ignore[untyped-decorator]
    def pretty_data(self, event: AuditEvent) -> SafeString:
        try:
            pretty = json.dumps(json.loads(event.data), indent=2, ensure_ascii=True)
        except ValueError:
            pretty = event.data
        return format_html(
            '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>', pretty
        )

    @display(description="MAC of the event before it")  # type: ignore[untyped-decorator]
    def previous_mac(self, event: AuditEvent) -> str:
        before = AuditEvent.objects.filter(
            subject_type=event.subject_type, subject_id=event.subject_id, seq=event.seq - 1
        )
        return before.values_list("mac", flat=True).first() or chain.GENESIS or "none, it is first"

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(require_safe(self.export_view))
        return [path("export.csv", export, name="audit_auditevent_export"), *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """The list under the same filters, as a file; it says no more than the page does."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            found = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseBadRequest("These filters fit nothing in this list.")
        return csv_file("trail", _EXPORTED, self._rows(found))

    def _rows(self, found: QuerySet[AuditEvent]) -> Iterator[tuple[str, ...]]:
        """The newest first, what happened before its code."""
        number = 0
        for event in found[:MOST_EXPORTED].iterator(chunk_size=1_000):
            number += 1
            yield (
                describe(event), actor_of(event), event.at.isoformat(), event.subject_type,
                event.subject_id, _page_of(event), str(event.seq), event.code,
            )  # fmt: skip
        if number == MOST_EXPORTED:
            yield (f"Not more than {MOST_EXPORTED:,} lines; filter by time for what is older.",)

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
        return queryset.filter(begins_with("actor_name", term)), False
