"""Kinds of values in what agents are answered."""

from __future__ import annotations

from datetime import UTC
from functools import cache
from typing import Any

from rest_framework import serializers


def written(kind: type[serializers.Serializer[Any]], shown: object) -> dict[str, Any]:
    """What an agent is answered of it, by a serializer that knows no more than its fields."""
    body: dict[str, Any] = _writer(kind).to_representation(shown)
    return body


@cache
def _writer(kind: type[serializers.Serializer[Any]]) -> serializers.Serializer[Any]:
    """One for all answers of a process: copying its fields takes longer than writing them."""
    return kind()


class BlankIsNull(serializers.CharField):
    """Text that is null where the database holds an empty string."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> Any:
        return str(value) or None


def moment(
    source: str, *, allow_null: bool = True, help_text: str | None = None
) -> serializers.DateTimeField:
    """A time in UTC, as in 2026-03-01T09:30:00Z (RFC 3339)."""
    return serializers.DateTimeField(
        source=source,
        allow_null=allow_null,
        default_timezone=UTC,
        read_only=True,
        help_text=help_text,
    )
