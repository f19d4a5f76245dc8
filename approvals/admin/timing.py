"""How long is left, in words. The page's script says the same, so nothing jumps when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

SOON = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Countdown:
    """One running clock as the page shows it."""

    until: datetime
    text: str
    tone: str  # "over", "soon" or "calm"


def countdown(until: datetime | None, *, at: datetime) -> Countdown | None:
    """The clock in words: "3 h 20 min left", "5 min over"."""
    if until is None:
        return None
    left = until - at
    if left <= timedelta(0):
        return Countdown(until, f"{_span(-left)} over", "over")
    return Countdown(until, f"{_span(left)} left", "soon" if left <= SOON else "calm")


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days >= 2:
        return f"{days} days"
    if days:
        return f"1 day {hours} h" if hours else "1 day"
    if hours:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{minutes} min" if minutes else "under a minute"
