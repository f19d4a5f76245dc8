"""Change windows and freezes: when execution may begin, in the wall time of who watches it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from policies import patterns
from policies.facts import WEEKDAYS

MINUTES_A_DAY = 24 * 60
_HORIZON_DAYS = 15  # two weeks: a weekly window may fall into one clock change, never into two


@dataclass(frozen=True, slots=True)
class Window:
    """Open on some weekdays, between two wall times. Minutes are counted from local midnight.

    `closes` may be 1440 (the end of the day), or not after `opens`: then the window closes on
    the following day.
    """

    name: str
    days: frozenset[int]  # 0 is Monday
    opens: int
    closes: int
    tz: str  # IANA name, "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Freeze:
    """No action of these types begins between two instants: a season, an audit, a migration."""

    name: str
    begins_at: datetime
    ends_at: datetime
    action_types: tuple[str, ...]  # patterns, as in policies.patterns
    reason: str

    def covers(self, action_type: str, now: datetime) -> bool:
        """Whether it holds this action back now. Its first moment counts, its end does not."""
        return self.begins_at <= now < self.ends_at and any(
            patterns.applies(pattern, action_type) for pattern in self.action_types
        )


def hours_of(window: Window) -> str:
    """When it is open, as people read it: "mon, tue 22:00 to 02:00 Europe/Berlin"."""
    days = ", ".join(WEEKDAYS[day] for day in sorted(window.days))
    return f"{days} {_wall(window.opens)} to {_wall(window.closes)} {window.tz}"


def _wall(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def freeze_span(begins: datetime, ends: datetime, tz: str) -> tuple[datetime, datetime]:
    """Two wall times of the zone as instants in UTC.

    A wall time that comes twice, or that the clocks skip, counts so that the freeze is the longer:
    a freeze is never shorter than it says.
    """
    zone = ZoneInfo(tz)
    first, last = (
        [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
        for wall in (begins, ends)
    )
    return min(first), max(last)


def is_open(window: Window, now: datetime) -> bool:
    """Whether execution may begin at this moment. The opening counts, the closing does not."""
    return _current(window, now) is not None


def next_opening(window: Window, now: datetime) -> datetime:
    """When execution may begin, in UTC: now if the window is open, else its next opening."""
    now = now.astimezone(UTC)
    if is_open(window, now):
        return now
    today = now.astimezone(ZoneInfo(window.tz)).date()
    for offset in range(_HORIZON_DAYS):
        span = _span(window, today + timedelta(days=offset))
        if span and span[0] > now:
            return span[0]
    raise ValueError(f"Window '{window.name}' never opens.")


def _current(window: Window, now: datetime) -> tuple[datetime, datetime] | None:
    today = now.astimezone(ZoneInfo(window.tz)).date()
    for day in (today - timedelta(days=1), today):  # yesterday's may run past midnight
        span = _span(window, day)
        if span and span[0] <= now < span[1]:
            return span
    return None


def _span(window: Window, day: date) -> tuple[datetime, datetime] | None:
    """The window beginning on that day as instants; None when it does not, or is swallowed.

    Wall times the clocks skip in spring count from before the change, and of wall times that come
    twice in autumn the first counts: a window is never longer than it says.
    """
    if day.weekday() not in window.days:
        return None
    closes = window.closes if window.closes > window.opens else window.closes + MINUTES_A_DAY
    start = _instant(day, window.opens, window.tz)
    end = _instant(day, closes, window.tz)
    return (start, end) if start < end else None


def _instant(day: date, minute: int, tz: str) -> datetime:
    days, minute = divmod(minute, MINUTES_A_DAY)
    wall = time(minute // 60, minute % 60)
    return datetime.combine(day + timedelta(days=days), wall, ZoneInfo(tz)).astimezone(UTC)
