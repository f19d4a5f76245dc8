"""Moments as people read them, in the company's time zone.

The formats are Django's named ones, spelled in `config/formats` and nowhere else
(`tests/architecture/test_dates.py`).
"""

from __future__ import annotations

from datetime import datetime

from django.utils.formats import date_format
from django.utils.timezone import localtime


def format_moment(at: datetime) -> str:
    """For a sentence, with its zone, as readers may be elsewhere: "21 Nov 2026, 23:10 CET"."""
    local = localtime(at)
    return f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname()}"


def format_record_moment(at: datetime | None) -> str:
    """For a record, to the second: "21 Nov 2026, 23:10:05". Nothing for none."""
    return date_format(localtime(at), "RECORD_DATETIME_FORMAT") if at else ""


def format_time(at: datetime) -> str:
    """The time of a day its reader knows: "23:10"."""
    return date_format(localtime(at), "TIME_FORMAT")
