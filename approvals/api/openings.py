"""What an action waits for before it begins, as agents are answered."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from approvals.api.output_fields import BlankIsNull, moment
from approvals.selectors.openings import OpeningShown


@extend_schema_serializer(component_name="Opening")
class OpeningOutput(serializers.Serializer[OpeningShown]):
    """The change window and the freezes an action waits for, as policy said when it looked last."""

    window = BlankIsNull(help_text="The change window's name.")
    hours = BlankIsNull(help_text="When that is open, in words.")
    freezes = serializers.ListField(child=serializers.CharField())
    may_begin_at = moment("at", help_text="The earliest moment; null when nobody says.")
    too_late = serializers.BooleanField(
        source="is_too_late", help_text="It cannot run in time, whoever approves it."
    )
    message = serializers.CharField(source="sentence")
