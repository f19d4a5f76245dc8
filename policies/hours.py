"""A team's business hours as people write them: "Mon-Fri 08:00-18:00", in the house's time zone."""

from __future__ import annotations

import re

from django.conf import settings

from policies.windows import Window

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(_DAYS)
_TIME = "([01][0-9]|2[0-3]):([0-5][0-9])"
_HOURS = re.compile(rf"\A({_DAY})(?:-({_DAY}))? {_TIME}-{_TIME}\Z")


class HoursError(ValueError):
    """The hours cannot be read; the message says how they are written."""


def parse_hours(text: str) -> Window | None:
    """When the team is there; None for always. Raises HoursError.

    Hours that end before they begin run past midnight.
    """
    if not text.strip():
        return None
    found = _HOURS.match(text.strip())
    if found is None:
        raise HoursError(f"'{text}' are no hours. Write them like \"Mon-Fri 08:00-18:00\".")
    first = _DAYS.index(found[1])
    last = _DAYS.index(found[2]) if found[2] else first
    opens, closes = (int(found[n]) * 60 + int(found[n + 1]) for n in (3, 5))
    if opens == closes:
        raise HoursError("Hours end at another time than they begin.")
    days = frozenset((first + n) % 7 for n in range((last - first) % 7 + 1))
    return Window("business hours", days, opens, closes, settings.TIME_ZONE)
