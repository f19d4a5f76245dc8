"""Filters of list pages whose choices the code knows, or whose one value is typed in.

Django's own filters SELECT DISTINCT the column or list every related row, on every page.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from unfold.contrib.filters.admin import DropdownFilter, TextFilter

from audit.lib.db import ID_SLACK

Choices = list[tuple[str, str]]
Rows = QuerySet[Any]


class IdsAt(Protocol):
    """The first id of a time or after it, or the last one before it."""

    def __call__(self, moment: datetime, *, after: bool) -> object: ...


def one_of(
    title: str, column: str, choices: Callable[[], Choices], *, parameter: str = ""
) -> type[DropdownFilter]:
    """One of a few known values; what is none of them matches nothing."""

    class OneOf(DropdownFilter):  # type: ignore[misc]
        def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
            return choices()

        def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
            value = self.value()
            if not value:
                return queryset
            known = {str(key) for key, _ in choices()}
            return queryset.filter(**{column: value}) if value in known else queryset.none()

    OneOf.title = title
    OneOf.parameter_name = parameter or column
    return OneOf


def equal_to(title: str, column: str, *, parameter: str = "") -> type[TextFilter]:
    """One exact text, typed in; for columns of text that an index serves."""

    class EqualTo(TextFilter):  # type: ignore[misc]
        def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
            value = (self.value() or "").strip()
            return queryset.filter(**{column: value}) if value else queryset

    EqualTo.title = title
    EqualTo.parameter_name = parameter or column
    return EqualTo


def between(column: str, ids: IdsAt | None = None) -> tuple[type[TextFilter], type[TextFilter]]:
    """Both ends of a time range, `since` and `until`; a plain date at the end includes its day.

    `ids` tells from which id on, or up to which, rows of a time can be: where ids grow with time,
    a list in their order is then found by its index, however far back it begins.
    """

    class From(_Bound):
        title = "from (date or time)"
        parameter_name = "since"
        lookup = f"{column}__gte"

        def ids_beside(self, moment: datetime) -> Q:
            return Q(pk__gte=ids(moment - ID_SLACK, after=True)) if ids else Q()

    class Until(_Bound):
        title = "until (date or time)"
        parameter_name = "until"
        lookup = f"{column}__lt"
        day_offset = timedelta(days=1)

        def ids_beside(self, moment: datetime) -> Q:
            return Q(pk__lte=ids(moment + ID_SLACK, after=False)) if ids else Q()

    return From, Until


class _Bound(TextFilter):  # type: ignore[misc]
    """One end of a time range; a date or a date with a time. What is neither matches nothing."""

    lookup: str
    day_offset = timedelta()

    def ids_beside(self, moment: datetime) -> Q:
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        text = (self.value() or "").strip()
        if not text:
            return queryset
        moment = self._moment(text)
        if not moment:
            return queryset.none()
        try:
            return queryset.filter(self.ids_beside(moment), **{self.lookup: moment})
        except OverflowError:  # at the ends of the calendar, where nothing ever happened
            return queryset.filter(**{self.lookup: moment})

    def _moment(self, text: str) -> datetime | None:
        try:
            if day := parse_date(text):
                midnight = datetime.combine(day, datetime.min.time())
                return timezone.make_aware(midnight) + self.day_offset
            moment = parse_datetime(text)
            return timezone.make_aware(moment) if moment and timezone.is_naive(moment) else moment
        except (ValueError, OverflowError):
            return None
