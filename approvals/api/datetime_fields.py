"""Moments in time as agents write them: RFC 3339, nothing that could be read in two ways."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django_filters import fields
from django_filters import rest_framework as filters
from rest_framework import serializers

EARLIEST_YEAR, LATEST_YEAR = 2000, 2200
"""Far from where Python's and the databases' calendars end, in every time zone."""

EXPECTED = (
    "Write a date and time with its offset (RFC 3339), as in 2026-03-01T09:30:00Z, "
    f"from {EARLIEST_YEAR} to {LATEST_YEAR}."
)

_RFC_3339 = re.compile(
    r"(?P<year>[0-9]{4})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)


def read_moment(text: str) -> datetime:
    """The aware datetime this RFC 3339 text means, to the microsecond; ValueError says what to do.

    Midnight is 00:00 and leap seconds are not taken: Python knows neither 24:00 nor 23:59:60.
    """
    match = _RFC_3339.fullmatch(text.upper()) if text.isascii() else None
    if match is None or not EARLIEST_YEAR <= int(match["year"]) <= LATEST_YEAR:
        raise ValueError(EXPECTED)
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"There is no such date or time. {EXPECTED}") from None


class MomentField(serializers.DateTimeField):
    """A moment in a body."""

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise serializers.ValidationError(EXPECTED)
        try:
            return read_moment(value)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class _QueryMomentField(fields.IsoDateTimeField):  # type: ignore[misc]
    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return read_moment(value)
        except ValueError as error:
            raise ValidationError(
                '%(problem)s In an address, "+" is written %%2B.', params={"problem": error}
            ) from None


class MomentFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]
    """A moment in a query string."""

    field_class = _QueryMomentField
