"""Finding one's own requests: a few filters, pages by cursor."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django_filters import rest_framework as filters
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from approvals.api.moments import MomentFilter
from approvals.choices import State
from approvals.models import ActionRequest


class ActionFilter(filters.FilterSet):  # type: ignore[misc]
    """Filters on indexed columns; a bad value is a 400 that names the field."""

    backends: ClassVar[list[type[filters.DjangoFilterBackend]]] = [filters.DjangoFilterBackend]

    state = filters.MultipleChoiceFilter(choices=State.choices)
    action_type = filters.CharFilter(max_length=60)
    session = filters.CharFilter(max_length=100)
    target = filters.CharFilter(max_length=200)
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = ActionRequest
        fields: ClassVar[list[str]] = []


class ActionPagination(CursorPagination):
    """Newest first; ids sort by time, so a page is one index range at any depth."""

    page_size = 50
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                UUID(str(cursor.position))  # the database would be asked to compare it with ids
            except ValueError:
                raise NotFound(self.invalid_cursor_message) from None
        return cursor
