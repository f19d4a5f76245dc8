"""Reading values out of a YAML tree, collecting every problem with its place and its remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TypeVar

import yaml

from audit.lib.spelling import suggestion
from audit.lib.yaml_source import Problem

T = TypeVar("T")
D = TypeVar("D")

_DURATION = re.compile(r"\A(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?\Z", re.ASCII)
PLAIN_WHOLE = re.compile(r"\A-?(0|[1-9][0-9_]*)\Z", re.ASCII)
_WALL_TIME = re.compile(r"\A([01]\d|2[0-3]):([0-5]\d)\Z", re.ASCII)
_WALL_DATE = re.compile(r"\A\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d\Z", re.ASCII)
_KINDS = {
    yaml.MappingNode: "a mapping (key: value)",
    yaml.SequenceNode: "a list",
    yaml.ScalarNode: "a single value",
}


class Fields(dict[str, "Reader"]):
    """The keys of a mapping that are there."""

    def read(self, key: str, how: Callable[[Reader], T], default: D) -> T | D:
        """What the key holds, or the default when the key is not there."""
        return how(self[key]) if key in self else default


class Reader:
    """One place in the tree. Readers of inner places share the list of problems.

    Text is taken as written, so `no` and `22:00` stay what they look like; every other type is
    read from YAML's own resolution. A reading that fails notes the problem and returns a default,
    so that one pass finds them all.
    """

    def __init__(self, node: yaml.Node, path: str, problems: list[Problem]) -> None:
        self.node = node
        self.path = path
        self.problems = problems

    def problem(self, message: str, *, line: int = 0, column: int = 0) -> None:
        """Note what is wrong here, or at the given line and column (from 1) of the document."""
        mark = self.node.start_mark
        self.problems.append(
            Problem(self.path, line or mark.line + 1, column or mark.column + 1, message)
        )

    def _is(self, kind: type[yaml.Node]) -> bool:
        if isinstance(self.node, kind):
            return True
        self.problem(f"must be {_KINDS[kind]}, not {_KINDS[type(self.node)]}.")
        return False

    # Collections

    def entries(
        self, known: Collection[str] | None = None, *, what: str = "key"
    ) -> dict[str, Reader]:
        """The mapping's values by key; unknown keys are problems when `known` is given."""
        if not self._is(yaml.MappingNode):
            return {}
        result = {}
        for key, value in self.node.value:
            path = f"{self.path}.{key.value}" if self.path else key.value
            if known is not None and key.value not in known:
                hint = suggestion(key.value, list(known)) or f" Known: {', '.join(known)}."
                Reader(key, path, self.problems).problem(f"unknown {what} '{key.value}'.{hint}")
                continue
            result[key.value] = Reader(value, path, self.problems)
        return result

    def fields(self, required: Collection[str], optional: Collection[str] = ()) -> Fields:
        """Like `entries` for a fixed set of keys; missing required ones are problems."""
        result = Fields(self.entries((*required, *optional)))
        if isinstance(self.node, yaml.MappingNode):
            present = {key.value for key, _ in self.node.value}
            for name in required:
                if name not in present:
                    self.problem(f"'{name}' is missing; add it.")
        return result

    def items(self, *, at_most: int, empty: str = "") -> list[Reader]:
        """The list's values; `empty` is the remedy when the list must not be empty."""
        if not self._is(yaml.SequenceNode):
            return []
        if empty and not self.node.value:
            self.problem(empty)
        if len(self.node.value) > at_most:
            self.problem(f"has more than {at_most} entries; split or merge them.")
            return []
        return [
            Reader(item, f"{self.path}[{index}]", self.problems)
            for index, item in enumerate(self.node.value)
        ]

    def each(
        self, read: Callable[[Reader], T], *, at_most: int = 100, empty: str = ""
    ) -> tuple[T, ...]:
        return tuple(read(item) for item in self.items(at_most=at_most, empty=empty))

    # Single values

    def text(self, *, at_most: int = 500, may_be_empty: bool = False) -> str:
        """Text as written, whatever YAML makes of it."""
        if not self._is(yaml.ScalarNode):
            return ""
        value = str(self.node.value).strip()
        if not value and not may_be_empty:
            self.problem("must not be empty.")
        if len(value) > at_most:
            self.problem(f"has more than {at_most} characters; shorten it.")
        return value

    def one_of(self, known: Iterable[str], *, what: str) -> str:
        known = list(known)
        value = self.text()
        if value and value not in known:
            hint = suggestion(value, known) or f" Known: {', '.join(known)}."
            self.problem(f"'{value}' is not {what}.{hint}")
            return ""
        return value

    def whole(self, *, low: int, high: int) -> int:
        """Decimal digits only: YAML reads 010 as eight, and 1:30 as ninety."""
        value = self.value()
        written = str(self.node.value) if isinstance(self.node, yaml.ScalarNode) else ""
        if type(value) is not int or not PLAIN_WHOLE.match(written) or not low <= value <= high:
            self.problem(f"must be a whole number from {low} to {high}.")
            return low
        return value

    def flag(self) -> bool:
        value = self.value()
        if not isinstance(value, bool):
            self.problem("must be true or false.")
        return value is True

    def value(self) -> object:
        """What YAML itself reads here (number, truth value, text, list), None if it cannot."""
        try:
            return yaml.SafeLoader("").construct_object(self.node, deep=True)
        except (ValueError, yaml.YAMLError):  # the 45th of a month, a number of 5,000 digits
            return None

    def duration(self) -> timedelta:
        text = self.text()
        found = _DURATION.match(text)
        if not text or not found:
            self.problem(f"'{text}' is not a duration; write 30m, 4h, 2d or 1d12h.")
            return timedelta(hours=1)
        days, hours, minutes = (int(part or 0) for part in found.groups())
        result = timedelta(days=days, hours=hours, minutes=minutes)
        if not timedelta(0) < result <= timedelta(days=90):
            self.problem("must be longer than nothing and at most 90d.")
        return result

    def minute(self, *, allow_midnight_end: bool) -> int:
        """A wall time as minutes from midnight; the end of a day may be 24:00."""
        text = self.text()
        found = _WALL_TIME.match(text)
        if found:
            return int(found[1]) * 60 + int(found[2])
        if allow_midnight_end and text == "24:00":
            return 24 * 60
        self.problem(f"'{text}' is not a time of day; write 09:00.")
        return 0

    def wall_time(self) -> datetime | None:
        """A date and time of day without a zone; None when it is not one."""
        text = self.text()
        if _WALL_DATE.match(text):
            with suppress(ValueError):  # the 31st of November
                return datetime.fromisoformat(text)
        self.problem(f"'{text}' is not a date and time; write 2026-12-20T00:00.")
        return None

    def problem_inside(self, message: str, *, line: int, column: int) -> None:
        """Note what is wrong at a place in the text (from 1), as exactly as YAML tells it."""
        mark = self.node.start_mark
        style = getattr(self.node, "style", None)
        if not style and line == 1:  # plain: None, or "" of libyaml
            self.problem(message, line=mark.line + 1, column=mark.column + column)
        elif style in ("'", '"') and line == 1:
            self.problem(message, line=mark.line + 1, column=mark.column + 1 + column)
        elif style == "|":
            self.problem(message, line=mark.line + 1 + line)
        else:
            self.problem(message)
