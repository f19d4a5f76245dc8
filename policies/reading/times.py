"""The sections of a document about time: change windows, business hours, freezes."""

from __future__ import annotations

from collections import Counter
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from policies import patterns
from policies.reading.reader import Reader
from policies.windows import WEEKDAYS, Freeze, Window, freeze_span


def read_windows(reader: Reader) -> dict[str, Window]:
    return {name: _window(name, item) for name, item in reader.entries().items()}


def read_business_hours(reader: Reader) -> Window:
    """A window without a name of its own."""
    return _window("business hours", reader)


def read_freezes(reader: Reader) -> tuple[Freeze, ...]:
    found = reader.each(_freeze, at_most=100)
    for name, count in Counter(freeze.name for freeze in found if freeze).items():
        if count > 1:
            reader.problem(f"freeze '{name}' is used {count} times; keep one or rename.")
    return tuple(freeze for freeze in found if freeze)


def _window(name: str, reader: Reader) -> Window:
    keys = reader.fields(required=("days", "from", "to", "tz"))
    days = keys.read("days", lambda item: item.each(_weekday, empty="needs a day."), ())
    return Window(
        name=name,
        days=frozenset(days),
        opens=keys.read("from", lambda item: item.minute(allow_midnight_end=False), 0),
        closes=keys.read("to", lambda item: item.minute(allow_midnight_end=True), 0),
        tz=keys.read("tz", _time_zone, "") or "UTC",
    )


def _freeze(reader: Reader) -> Freeze | None:
    keys = reader.fields(
        required=("name", "from", "to", "tz", "reason"), optional=("action_types",)
    )
    name = keys.read("name", lambda item: item.text(at_most=60), "")
    reason = keys.read("reason", Reader.text, "")
    action_types = keys.read(
        "action_types",
        lambda item: item.each(_pattern, empty="needs an action type; leave it out for all."),
        (patterns.EVERY,),
    )
    begins = keys.read("from", Reader.wall_time, None)
    ends = keys.read("to", Reader.wall_time, None)
    tz = keys.read("tz", _time_zone, "")
    if begins is None or ends is None or not tz:
        return None
    if ends <= begins:
        keys["to"].problem("is not after 'from'; a freeze ends later than it begins.")
        return None
    begins_at, ends_at = freeze_span(begins, ends, tz)
    return Freeze(name, begins_at, ends_at, action_types, reason)


def _pattern(reader: Reader) -> str:
    text = reader.text()
    if text and not patterns.is_pattern(text):
        reader.problem("must be an action type (refund.issue) or a family (refund.*).")
    return text


def _weekday(reader: Reader) -> int:
    day = reader.one_of(WEEKDAYS, what="a weekday")
    return WEEKDAYS.index(day) if day else 0


def _time_zone(reader: Reader) -> str:
    """The zone's name, or nothing when there is none of that name."""
    name = reader.text()
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        reader.problem(f"'{name}' is not a time zone; write Europe/Berlin.")
        return ""
    return name
