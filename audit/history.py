"""Table history: one way to keep it, for every model that has it."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import models
from simple_history.models import HistoricalRecords


def kept_history(*, excluded_fields: Sequence[str] = ()) -> HistoricalRecords:
    """History rows with room: 64-bit ids and reasons of any length.

    Rows are stamped by `audit.services.save_with_history`; there is no middleware guessing the
    user. They are ordinary rows, handy for reading: the proof is the trail.
    """
    return HistoricalRecords(
        history_id_field=models.BigAutoField(),
        history_change_reason_field=models.TextField(null=True),
        excluded_fields=list(excluded_fields),
    )
