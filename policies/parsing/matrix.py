"""The matrix as a document writes it, and the requirements of its cells and of rules.

Every tier is complete, and every pattern true to its people: who must say yes, who may instead, and
who never counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import yaml

from audit.lib.spelling import suggestion
from audit.lib.yaml_reader import Fields, Reader
from policies import patterns
from policies.evidence import FRESH_FOR, EvidenceDemand, Supplier
from policies.matrix import (
    RUNS_BY_ITSELF,
    SAFEGUARDS,
    SHAPES,
    Cell,
    Matrix,
    OperatingModel,
    Override,
    Pattern,
    guarded,
    shape_of,
)
from policies.quorum import role_above
from policies.roles import DECIDING_ROLES
from policies.team_names import LOOKED_UP, is_team_name
from policies.verdicts import HIGHEST_TIER, Deadlines, RequirementSpec
from policies.windows import Window

LONGEST_RECALL = 7 * 24 * 3600  # seconds: some seconds to think again, or days to cool off
TIERS = range(HIGHEST_TIER + 1)
_CELL_KEYS = (
    "requirements",
    "evidence",
    "decide_by",
    "execute_by",
    "reason_required",
    "window",
    "operating_model",
    "pattern",
    "sample_percent",
    "always_people",
    "step_up",
    "sign_off",
    "recall_seconds",
)
_MAY_BE_LEFT_OUT = (
    "window",
    "sample_percent",
    "always_people",
    "step_up",
    "sign_off",
    "recall_seconds",
)
_AUTOMATIC = (Pattern.NO_APPROVAL, Pattern.SAMPLED, Pattern.EXCEPTION_ONLY, Pattern.THRESHOLD)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the list: what it says, and where it says it."""

    reader: Reader
    keys: Fields
    override: Override


def read_matrix(reader: Reader, windows: Mapping[str, Window]) -> Matrix:
    before = len(reader.problems)
    entries, matrix = entries_of(reader, windows)
    if len(reader.problems) == before:
        for entry in entries:
            _check(entry, matrix)
    return matrix


def entries_of(reader: Reader, windows: Collection[str]) -> tuple[list[Entry], Matrix]:
    """The entries, and what they make together; how model, pattern and people fit is not looked at.

    The matrix is empty when a tier has no entry.
    """
    entries = [_entry(item, windows) for item in reader.items(at_most=300)]
    cells: dict[int, Cell] = {}
    overrides: dict[tuple[int, str], Override] = {}
    for entry in entries:
        override = entry.override
        tier, action_type = override.tier, override.action_type
        if "action_type" in entry.keys:
            if (tier, action_type) in overrides:
                entry.reader.problem(f"tier {tier} already has '{action_type}'; keep one.")
            overrides[tier, action_type] = override
            continue
        missing = [k for k in _CELL_KEYS if k not in entry.keys and k not in _MAY_BE_LEFT_OUT]
        if missing:
            text = f"the tier's own entry must be complete; add {', '.join(missing)}."
            entry.reader.problem(text)
        if tier in cells:
            text = f"tier {tier} is already there; keep one, or name an action_type."
            entry.reader.problem(text)
        if SAFEGUARDS[tier].people and not override.requirements:
            entry.reader.problem(f"tier {tier} needs at least one requirement.")
        cells[tier] = _cell(override)
    absent = [str(tier) for tier in TIERS if tier not in cells]
    if absent:
        reader.problem(f"has no entry for tier {', '.join(absent)}; add it.")
        return entries, Matrix((), ())
    return entries, Matrix(tuple(cells[tier] for tier in TIERS), tuple(overrides.values()))


def read_tier(reader: Reader) -> int:
    return reader.whole(low=0, high=HIGHEST_TIER)


def _check(entry: Entry, matrix: Matrix) -> None:
    """Note where model, pattern and people, once everything is merged, contradict each other."""
    tier, keys = entry.override.tier, entry.keys
    cell = matrix.cell(tier, entry.override.action_type)
    model = keys.get("operating_model", entry.reader)
    pattern = keys.get("pattern", keys.get("requirements", model))
    runs_by_itself = cell.operating_model in RUNS_BY_ITSELF
    if runs_by_itself and guarded(cell, tier).always_people:
        model.problem(
            f"tier {tier} never runs without people; write '{OperatingModel.IN_THE_LOOP}' or "
            f"'{OperatingModel.ASSISTED}'."
        )
    if cell.pattern in _AUTOMATIC and not runs_by_itself:
        pattern.problem(
            f"'{cell.pattern}' lets actions run, and '{cell.operating_model}' never does; change "
            "one of them."
        )
    why = misfit(cell.operating_model, cell.pattern, cell.requirements)
    if why:
        pattern.problem(f"'{cell.pattern}' {why}")
    if cell.pattern == Pattern.SAMPLED and not cell.sample_percent:
        pattern.problem("'sampled' needs sample_percent, from 1 to 100.")
    if "sample_percent" in keys and cell.pattern != Pattern.SAMPLED:
        keys["sample_percent"].problem(f"is for the pattern 'sampled', not '{cell.pattern}'.")


def misfit(model: str, pattern: str, requirements: tuple[RequirementSpec, ...]) -> str:
    """Why these people are not the pattern; empty when they are."""
    match pattern:
        case Pattern.NO_APPROVAL:
            return "asks nobody; remove the requirements." if requirements else ""
        case Pattern.HUMAN_SUPERVISED:
            if model != OperatingModel.ASSISTED:
                return f"is for what a person starts; write '{OperatingModel.ASSISTED}'."
            return "" if requirements else "needs at least one requirement."
        case Pattern.THRESHOLD:
            return "" if requirements else "needs a requirement for what is above it."
        case shape if shape in SHAPES:
            if requirements and shape_of(requirements) == shape:
                return ""
            return _MEANING[Pattern(shape)]
    return ""


_MEANING = {
    Pattern.SINGLE: "is one requirement with quorum 1.",
    Pattern.TWO_PEOPLE: "is one requirement with quorum 2 or more.",
    Pattern.TWO_GROUPS: "is two requirements or more, in one stage.",
    Pattern.ORDERED_STAGES: "is requirements in two stages or more.",
}


def _entry(reader: Reader, windows: Collection[str]) -> Entry:
    keys = reader.fields(required=("tier",), optional=("action_type", *_CELL_KEYS))
    override = Override(
        tier=keys.read("tier", read_tier, 0),
        action_type=keys.read("action_type", _action_type, patterns.EVERY),
        requirements=keys.read("requirements", read_requirements, None),
        evidence=keys.read("evidence", _evidence, None),
        deadlines=_deadlines(keys),
        reason_required=keys.read("reason_required", Reader.flag, None),
        window=keys.read("window", lambda item: item.one_of(windows, what="a window"), None),
        operating_model=keys.read(
            "operating_model",
            lambda item: item.one_of(OperatingModel, what="an operating model"),
            None,
        ),
        pattern=keys.read("pattern", lambda item: item.one_of(Pattern, what="a pattern"), None),
        sample_percent=keys.read("sample_percent", lambda item: item.whole(low=1, high=100), None),
        always_people=keys.read("always_people", Reader.flag, None),
        step_up=keys.read("step_up", Reader.flag, None),
        sign_off=keys.read("sign_off", Reader.flag, None),
        recall_seconds=keys.read(
            "recall_seconds", lambda item: item.whole(low=0, high=LONGEST_RECALL), None
        ),
    )
    return Entry(reader, keys, override)


def _evidence(reader: Reader) -> tuple[EvidenceDemand, ...]:
    demands = {demand.kind: demand for demand in reader.each(_demand)}
    return tuple(demands.values())


def _demand(reader: Reader) -> EvidenceDemand:
    """A kind the system must have read, or `{kind: ..., by: anyone, fresh: 7d}`."""
    if not isinstance(reader.node, yaml.MappingNode):
        return EvidenceDemand(reader.text(at_most=60))
    keys = reader.fields(required=("kind",), optional=("by", "fresh"))
    by = keys.read("by", lambda item: item.one_of(Supplier, what="a supplier"), "")
    return EvidenceDemand(
        keys.read("kind", _kind, ""),
        Supplier(by or Supplier.SYSTEM),
        keys.read("fresh", Reader.duration, None) or FRESH_FOR,
    )


def _kind(reader: Reader) -> str:
    text = reader.text(at_most=40)
    is_name = text.isascii() and text.isidentifier() and text == text.lower()
    if text and (not is_name or text.startswith("_")):
        reader.problem("must be small letters, digits and _, as in test_result.")
    return text


def _action_type(reader: Reader) -> str:
    text = reader.text()
    if not patterns.is_pattern(text) or text == patterns.EVERY:
        reader.problem("must be an action type (refund.issue) or a family (refund.*).")
    return text


def _deadlines(keys: Fields) -> Deadlines | None:
    decide_by = keys.read("decide_by", Reader.duration, None)
    execute_by = keys.read("execute_by", Reader.duration, None)
    if decide_by and execute_by:
        return Deadlines(decide_by, execute_by)
    if decide_by or execute_by:
        only = keys["decide_by" if decide_by else "execute_by"]
        only.problem("decide_by and execute_by come together; add the other one.")
    return None


def _cell(override: Override) -> Cell:
    """The complete cell; gaps were noted as problems and never leave the parser.

    What an entry may leave out, its tier decides.
    """
    floor = SAFEGUARDS[override.tier]
    return Cell(
        requirements=override.requirements or (),
        evidence=override.evidence or (),
        deadlines=override.deadlines or Deadlines(timedelta(hours=1), timedelta(hours=1)),
        reason_required=bool(override.reason_required),
        window=override.window or "",
        operating_model=override.operating_model or "",
        pattern=override.pattern or "",
        sample_percent=override.sample_percent or 0,
        always_people=_or(override.always_people, floor.always_people),
        step_up=_or(override.step_up, floor.step_up),
        sign_off=_or(override.sign_off, floor.sign_off),
        recall_seconds=override.recall_seconds or 0,
    )


def _or(said: bool | None, default: bool) -> bool:
    return default if said is None else said


def read_requirements(reader: Reader) -> tuple[RequirementSpec, ...]:
    requirements = reader.each(_requirement, at_most=10)
    refuse_twice((spec.group for spec in requirements), reader, "group")
    return requirements


def read_asked(reader: Reader) -> str:
    """A team's code, or who is looked up; whether there is such a team is for lint to say."""
    text = reader.text(at_most=30)
    return text if not text or text in LOOKED_UP or is_team_name(text) else _no_team(reader, text)


def read_team(reader: Reader) -> str:
    text = reader.text(at_most=30)
    return text if not text or is_team_name(text) else _no_team(reader, text)


def _no_team(reader: Reader, text: str) -> str:
    known = (*DECIDING_ROLES, *LOOKED_UP)
    hint = suggestion(text, known) or f" Write a team's code, or one of {', '.join(LOOKED_UP)}."
    reader.problem(f"'{text}' is not a role that decides.{hint}")
    return ""


def refuse_twice(names: Iterable[str], reader: Reader, what: str) -> None:
    """Note every name that is used more than once."""
    for name, count in Counter(names).items():
        if name and count > 1:
            reader.problem(f"{what} '{name}' is used {count} times; keep one or rename.")


def _requirement(reader: Reader) -> RequirementSpec:
    keys = reader.fields(
        required=("group",),
        optional=(
            "alternatives", "excludes", "quorum", "stage", "within_limit", "escalates_to",
        ),
    )  # fmt: skip
    group = keys.read("group", read_asked, "")
    alternatives = keys.read("alternatives", lambda item: _names(item, read_asked), ())
    excludes = keys.read("excludes", lambda item: _names(item, read_team), ())
    above = role_above(group) if group in DECIDING_ROLES else ""
    escalates_to = keys.read("escalates_to", read_team, above)
    if group and group in alternatives:
        keys["alternatives"].problem(f"'{group}' is the group itself; name others.")
    for name in {group, *alternatives} & {*excludes}:
        keys["excludes"].problem(f"'{name}' may answer and is excluded; take it out of one.")
    if escalates_to and escalates_to in excludes:
        reader.problem(f"it escalates to '{escalates_to}', which is excluded; name another role.")
    return RequirementSpec(
        group=group,
        quorum=keys.read("quorum", _few, 1),
        stage=keys.read("stage", _few, 1),
        within_limit=keys.read("within_limit", Reader.flag, False),
        escalates_to=escalates_to,
        alternatives=alternatives,
        excludes=excludes,
    )


def _few(reader: Reader) -> int:
    return reader.whole(low=1, high=10)


def _names(reader: Reader, read: Callable[[Reader], str]) -> tuple[str, ...]:
    names = reader.each(read, at_most=10)
    refuse_twice(names, reader, "role")
    return tuple(filter(None, names))
