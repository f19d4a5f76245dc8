"""The base of every page about requests: rows of requests its reader may see, and no others."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, ClassVar, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from approvals.inspection import reveal
from approvals.selectors.visibility import sees_everything, visible_requests
from audit.lib.admin import ReadOnlyAdmin
from audit.lib.money import Money
from policies.models import User

_PRE = '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>'
YES_OR_NO = [("1", "yes"), ("0", "no")]


class ScopedRecords(ReadOnlyAdmin):
    """Read-only rows that belong to a request; `request_path` leads from the row to it."""

    request_path: ClassVar[str] = "request"
    list_select_related: ClassVar[Any] = ("request",)
    search_fields = ("pk",)  # shows the box; get_search_results decides
    search_help_text = "The whole id of a request."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        reader = cast(User, request.user)
        if sees_everything(reader):
            return rows
        visible = visible_requests(reader).order_by().values("pk")
        return rows.filter(**{f"{self.request_path}__in": visible})

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Another team's row is a 404: its id says nothing."""
        found = super().get_object(request, object_id, from_field)
        if found is None:
            raise Http404
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = as_uuid(term)
        return (
            queryset.filter(**{self.request_path: wanted}) if wanted else queryset.none()
        ), False

    @display(description="request")  # type: ignore[untyped-decorator]
    def request_link(self, row: Any) -> SafeString | str:
        """The request the row belongs to, by its effect's address; a mail may belong to none."""
        for step in self.request_path.split("__"):
            row = getattr(row, step)
        return link_to_record(row) if row is not None else ""


def link_to_record(request: Any) -> SafeString:
    """A link to the request's record page, named by type and target."""
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>',
        reverse("admin:approvals_actionrequest_change", args=[request.pk]),
        str(request),
    )


def as_uuid(text: str) -> UUID | None:
    """The id, when the text is a whole one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def pretty(text: str) -> SafeString | str:
    """Stored JSON laid out; anything else as it is, with hidden characters written out."""
    with suppress(ValueError):  # plain text, or damaged: shown as stored either way
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return format_html(_PRE, reveal(text)) if text else ""


def money(minor: int | None, currency: str) -> str:
    """The amount as people write it; nothing where there is none."""
    return "" if minor is None else str(Money(minor, currency))
