"""Change windows in wall time, over midnight and over clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.windows import Window, is_open, next_opening

BERLIN = "Europe/Berlin"
EVERY_DAY = frozenset(range(7))


def window(days: frozenset[int], opens: str, closes: str, tz: str = BERLIN) -> Window:
    minutes = [int(t[:2]) * 60 + int(t[3:]) for t in (opens, closes)]
    return Window("w", days, minutes[0], minutes[1], tz)


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN), fold=fold)


OFFICE = window(frozenset({0, 1, 2, 3, 4}), "09:00", "17:00")
NIGHT = window(frozenset({4}), "22:00", "04:00")


@pytest.mark.parametrize(
    ("which", "now", "expected"),
    [
        (OFFICE, "2026-11-20T08:59:59", False),
        (OFFICE, "2026-11-20T09:00", True),
        (OFFICE, "2026-11-20T16:59:59", True),
        (OFFICE, "2026-11-20T17:00", False),
        (OFFICE, "2026-11-21T12:00", False),
        (NIGHT, "2026-11-20T21:59", False),
        (NIGHT, "2026-11-20T23:00", True),
        (NIGHT, "2026-11-21T03:59", True),
        (NIGHT, "2026-11-21T04:00", False),
        (NIGHT, "2026-11-20T03:00", False),
    ],
)
def test_a_window_opens_and_closes_in_wall_time(which: Window, now: str, expected: bool) -> None:
    assert is_open(which, berlin(now)) is expected
    assert is_open(which, berlin(now).astimezone(UTC)) is expected


def test_the_next_opening_is_now_or_the_next_day_that_counts() -> None:
    friday_evening = berlin("2026-11-20T18:00")

    assert next_opening(OFFICE, berlin("2026-11-20T10:00")) == berlin("2026-11-20T10:00")
    assert next_opening(OFFICE, friday_evening) == berlin("2026-11-23T09:00")
    assert next_opening(OFFICE, friday_evening).tzinfo == UTC


@given(st.integers(0, 60 * 24 * 400))
def test_a_window_that_never_closes_is_open_at_every_minute_of_the_year(minute: int) -> None:
    always = window(EVERY_DAY, "00:00", "24:00")

    assert is_open(always, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute))


def test_wall_times_the_clocks_skip_count_from_before_the_change() -> None:
    # On 29 March 2026 Berlin goes from 02:00 to 03:00.
    skipped = window(EVERY_DAY, "02:15", "02:45")

    assert not is_open(skipped, berlin("2026-03-29T01:59"))
    assert is_open(skipped, berlin("2026-03-29T03:20"))
    assert not is_open(skipped, berlin("2026-03-29T03:50"))


def test_a_window_the_clocks_swallow_does_not_open_that_day() -> None:
    swallowed = window(EVERY_DAY, "02:30", "03:15")

    assert not is_open(swallowed, berlin("2026-03-29T03:05"))
    assert next_opening(swallowed, berlin("2026-03-29T00:00")) == berlin("2026-03-30T02:30")


def test_of_an_hour_that_comes_twice_the_first_counts() -> None:
    # On 25 October 2026 Berlin goes from 03:00 back to 02:00.
    repeated = window(EVERY_DAY, "02:15", "02:45")

    assert is_open(repeated, berlin("2026-10-25T02:30", fold=0))
    assert not is_open(repeated, berlin("2026-10-25T02:30", fold=1))


@given(
    st.sets(st.integers(0, 6), min_size=1).map(frozenset),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.integers(0, 2 * 366 * 24 * 60),
)
def test_the_next_opening_is_open_and_comes_only_when_it_is_closed_now(
    days: frozenset[int], opens: int, closes: int, minute: int
) -> None:
    some = Window("w", days, opens, closes, BERLIN)
    now = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)

    opening = next_opening(some, now)

    assert is_open(some, opening)
    assert (opening == now) == is_open(some, now)
    assert opening >= now


def test_a_window_without_days_never_opens() -> None:
    with pytest.raises(ValueError, match="never opens"):
        next_opening(window(frozenset(), "09:00", "17:00"), berlin("2026-11-20T10:00"))
