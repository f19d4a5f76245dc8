"""What a document says about a moment: business hours, open windows, freezes. Pure: no clock."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from policies.document import Document
from policies.facts import TimeFacts
from policies.windows import Freeze, is_open, next_opening


def time_facts(document: Document, action_type: str, now: datetime) -> TimeFacts:
    """The facts about time for one kind of action.

    A document without business hours is always within them, and its date is the one in UTC.
    """
    hours = document.business_hours
    zone = ZoneInfo(hours.tz) if hours else UTC
    return TimeFacts(
        today=now.astimezone(zone).date().isoformat(),
        business_hours=hours is None or is_open(hours, now),
        open_windows=tuple(n for n, window in document.windows.items() if is_open(window, now)),
        freezes=tuple(freeze.name for freeze in freezes_on(document, action_type, now)),
    )


def freezes_on(document: Document, action_type: str, now: datetime) -> tuple[Freeze, ...]:
    """The freezes that hold this kind of action back now."""
    return tuple(freeze for freeze in document.freezes if freeze.covers(action_type, now))


def held_until(document: Document, window: str, action_type: str, now: datetime) -> datetime | None:
    """When execution may begin, in UTC: now if nothing holds it back.

    None when the document has no such window: nobody says when it would be open.
    """
    if window and window not in document.windows:
        return None
    at = now.astimezone(UTC)
    while True:  # ends: a freeze that was waited for does not come back
        if window:
            at = next_opening(document.windows[window], at)
        freezes = freezes_on(document, action_type, at)
        if not freezes:
            return at
        at = max(freeze.ends_at for freeze in freezes)
