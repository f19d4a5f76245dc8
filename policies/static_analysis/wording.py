"""A document's parts in words: what a comparison shows side by side, and findings speak of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import Enum

from policies.document import Rule, TierRule
from policies.matrix import Override
from policies.patterns import EVERY
from policies.verdicts import Deadlines, RequirementSpec
from policies.windows import Window, hours_of

NOTHING = "nothing"


def cell_name(tier: int, action_type: str = EVERY) -> str:
    """How a cell of the matrix is called: "tier 3", "tier 3 for refund.*"."""
    return f"tier {tier}" if action_type == EVERY else f"tier {tier} for {action_type}"


def requirement(spec: RequirementSpec) -> str:
    """ "2 of finance or legal, within limit, not support"."""
    words = " or ".join(spec.groups)
    words = words if spec.quorum == 1 else f"{spec.quorum} of {words}"
    if spec.within_limit:
        words += ", within limit"
    if spec.excludes:
        words += f", not {' or '.join(spec.excludes)}"
    if spec.stage > 1:
        words += f", stage {spec.stage}"
    if spec.escalates_to not in ("", "manager"):
        words += f", escalating to {spec.escalates_to}"
    return words


def requirements(specs: Sequence[RequirementSpec]) -> str:
    """Everybody asked, joined by "and"."""
    return " and ".join(requirement(spec) for spec in specs) or "nobody"


def duration(value: timedelta) -> str:
    """As documents write it: 1d12h, 4h, 30m."""
    minutes = int(value.total_seconds()) // 60
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0m"


def shown(value: object) -> str:
    """Any value of a document, in words; nothing is ever left out."""
    if value is None or value == "" or value == () or value == {}:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value).replace("_", " ")
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, RequirementSpec):
        return requirement(value)
    if isinstance(value, Deadlines):
        return f"{duration(value.decide_by)} to decide, {duration(value.execute_by)} to execute"
    if isinstance(value, Window):
        return hours_of(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{shown(key)}: {shown(item)}" for key, item in value.items())
    if isinstance(value, Collection):
        items = sorted(value) if isinstance(value, frozenset | set) else value
        return ", ".join(shown(item) for item in items)
    if is_dataclass(value):
        return ", ".join(_parts(value))
    return str(value)


def aspect(name: str) -> str:
    """A field's name in words: `reason_required` is "reason required"."""
    return name.replace("_", " ")


def whole(item: object) -> str:
    """A rule, a cell or any other part of a document, a line for each thing it says."""
    if isinstance(item, Rule | TierRule):
        clauses = [f"when {clause}" for clause in item.when]
        return "\n".join([*clauses, *_lines(item, leave_out=("id", "when"))])
    if isinstance(item, Override):
        return "\n".join(_lines(item, leave_out=("tier", "action_type")))
    if isinstance(item, Window):
        return shown(item)
    if is_dataclass(item) and not isinstance(item, type):
        return "\n".join(_lines(item, leave_out=("name",)))
    return shown(item)


def _lines(item: object, *, leave_out: Collection[str]) -> list[str]:
    return [
        f"{aspect(field.name)}: {shown(value)}"
        for field in fields(item)  # type: ignore[arg-type]
        if field.name not in leave_out
        and (value := getattr(item, field.name)) not in (None, "", (), 0, False)
    ]


def _parts(item: object) -> list[str]:
    return [line for line in _lines(item, leave_out=()) if line]
