"""One format of dates for people: with the zone in sentences, to the second in records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from audit.lib.dates import format_moment, format_record_moment, format_time

WINTER = datetime(2026, 11, 5, 22, 10, 5, 999_999, tzinfo=UTC)
SUMMER = datetime(2026, 7, 4, 22, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def company_in_berlin() -> Iterator[None]:
    with timezone.override("Europe/Berlin"):
        yield


def test_a_sentence_names_the_zone_of_the_moment_not_of_today() -> None:
    assert format_moment(WINTER) == "5 Nov 2026, 23:10 CET"
    assert format_moment(SUMMER) == "5 Jul 2026, 00:30 CEST"


def test_a_moment_reads_alike_whatever_zone_it_came_in() -> None:
    elsewhere = WINTER.astimezone(timezone.get_fixed_timezone(-300))

    assert format_moment(elsewhere) == format_moment(WINTER)


def test_records_are_read_to_the_second() -> None:
    assert format_record_moment(WINTER) == "5 Nov 2026, 23:10:05"


def test_no_moment_is_no_text() -> None:
    assert format_record_moment(None) == ""


def test_a_time_of_day_is_the_companys() -> None:
    assert format_time(SUMMER) == "00:30"


def test_a_moment_without_a_zone_is_refused() -> None:
    naive = WINTER.replace(tzinfo=None)

    for format_ in (format_moment, format_record_moment, format_time):
        with pytest.raises(ValueError, match="naive"):
            format_(naive)
