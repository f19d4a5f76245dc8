"""YAML text in, `Document` out; or every mistake with its path, line, column and remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from audit.canonical import digest
from policies import patterns
from policies.document import Document, Expectation, Rule, TierRule
from policies.facts import FactError, Facts, declared
from policies.matrix import Cell, Matrix, OperatingModel, Override, Pattern
from policies.read_times import read_business_hours, read_freezes, read_windows
from policies.reader import Fields, Reader
from policies.roles import DECIDING_ROLES
from policies.verdicts import HIGHEST_TIER, Clocks, RequirementSpec, Verdict
from policies.windows import Window
from policies.yaml_source import DocumentError, Problem, compose

T = TypeVar("T")

_OPTIONAL = ("windows", "business_hours", "freezes", "tests")
_TIERS = range(HIGHEST_TIER + 1)
_CELL_KEYS = (
    "requirements",
    "evidence",
    "decide_by",
    "execute_by",
    "reason_required",
    "window",
    "operating_model",
    "pattern",
)
_NO_CLAUSES = 'needs at least one clause; write - "true" for a rule about everything.'
# A tier from 2 up always names people: whatever sends an action to a person must find one.
_FIRST_TIER_WITH_PEOPLE = 2


def parse_document(text: str) -> Document:
    """Read a policy document; raises DocumentError with every problem found."""
    problems: list[Problem] = []
    keys = Reader(compose(text), "", problems).fields(
        required=("rules", "tiers", "matrix"), optional=_OPTIONAL
    )
    windows = keys.read("windows", read_windows, {})
    business_hours = keys.read("business_hours", read_business_hours, None)
    freezes = keys.read("freezes", read_freezes, ())
    rules = keys.read("rules", _list_of(_rule, at_most=500, empty="needs a rule."), ())
    tiers = keys.read("tiers", _list_of(_tier_rule, at_most=200, empty="needs a rule."), ())
    matrix = keys.read("matrix", lambda reader: _matrix(reader, windows), None)
    tests = keys.read("tests", _list_of(_expectation, at_most=500), ())
    if "rules" in keys:
        _refuse_twice((rule.id for rule in rules), keys["rules"], "rule id")
    if "tests" in keys:
        _refuse_twice((test.name for test in tests), keys["tests"], "test name")
    if problems or matrix is None:
        raise DocumentError(tuple(sorted(problems, key=lambda p: (p.line, p.column))))
    return Document(
        digest=digest(text),
        rules=rules,
        tiers=tiers,
        matrix=matrix,
        windows=windows,
        tests=tests,
        business_hours=business_hours,
        freezes=freezes,
    )


def _list_of(
    read: Callable[[Reader], T], *, at_most: int = 100, empty: str = ""
) -> Callable[[Reader], tuple[T, ...]]:
    return lambda reader: reader.each(read, at_most=at_most, empty=empty)


def _name(reader: Reader) -> str:
    return reader.text(at_most=60)


def _tier(reader: Reader) -> int:
    return reader.whole(low=0, high=HIGHEST_TIER)


def _few(reader: Reader) -> int:
    return reader.whole(low=1, high=10)


def _role(reader: Reader) -> str:
    return reader.one_of(DECIDING_ROLES, what="a role that decides")


def _verdict(reader: Reader) -> Verdict:
    return Verdict(reader.one_of(Verdict, what="a verdict") or Verdict.DENY)


def _rule(reader: Reader) -> Rule:
    keys = reader.fields(
        required=("id", "owner", "reason", "when", "effect"),
        optional=("tier", "requirements", "adds", "categories"),
    )
    rule = Rule(
        id=keys.read("id", _name, ""),
        owner=keys.read("owner", _name, ""),
        reason=keys.read("reason", Reader.text, ""),
        when=keys.read("when", _clauses, ()),
        effect=keys.read("effect", _verdict, Verdict.DENY),
        tier=keys.read("tier", _tier, 0),
        requirements=keys.read("requirements", _requirements, ()),
        adds=keys.read("adds", _requirements, ()),
        categories=keys.read("categories", _list_of(_name), ()),
    )
    if rule.effect != Verdict.REQUIRE_APPROVAL and (rule.requirements or rule.adds):
        reader.problem(f"a rule that says {rule.effect} asks nobody; remove its requirements.")
    return rule


def _clauses(reader: Reader) -> tuple[str, ...]:
    return reader.each(Reader.clause, at_most=50, empty=_NO_CLAUSES)


def _requirements(reader: Reader) -> tuple[RequirementSpec, ...]:
    requirements = reader.each(_requirement, at_most=10)
    _refuse_twice((spec.group for spec in requirements), reader, "group")
    return requirements


def _requirement(reader: Reader) -> RequirementSpec:
    keys = reader.fields(
        required=("group",), optional=("quorum", "stage", "within_limit", "escalates_to")
    )
    return RequirementSpec(
        group=keys.read("group", _role, ""),
        quorum=keys.read("quorum", _few, 1),
        stage=keys.read("stage", _few, 1),
        within_limit=keys.read("within_limit", Reader.flag, False),
        escalates_to=keys.read("escalates_to", _role, "manager"),
    )


def _tier_rule(reader: Reader) -> TierRule:
    keys = reader.fields(required=("tier", "reason", "when"))
    return TierRule(
        tier=keys.read("tier", _tier, HIGHEST_TIER),
        reason=keys.read("reason", Reader.text, ""),
        when=keys.read("when", _clauses, ()),
    )


def _matrix(reader: Reader, windows: dict[str, Window]) -> Matrix:
    cells: dict[int, Cell] = {}
    overrides: dict[tuple[int, str], Override] = {}
    for item in reader.items(at_most=300):
        keys = item.fields(required=("tier",), optional=("action_type", *_CELL_KEYS))
        override = _override(keys, windows)
        tier = override.tier
        if "action_type" in keys:
            if (tier, override.action_type) in overrides:
                item.problem(f"tier {tier} already has '{override.action_type}'; keep one.")
            overrides[tier, override.action_type] = override
            continue
        missing = [key for key in _CELL_KEYS if key not in keys and key != "window"]
        if missing:
            item.problem(f"the tier's own entry must be complete; add {', '.join(missing)}.")
        if tier in cells:
            item.problem(f"tier {tier} is already there; keep one, or name an action_type.")
        if tier >= _FIRST_TIER_WITH_PEOPLE and not override.requirements:
            item.problem(f"tier {tier} needs at least one requirement.")
        cells[tier] = _cell(override)
    absent = [str(tier) for tier in _TIERS if tier not in cells]
    if absent:
        reader.problem(f"has no entry for tier {', '.join(absent)}; add it.")
        return Matrix((), ())
    return Matrix(tuple(cells[tier] for tier in _TIERS), tuple(overrides.values()))


def _override(keys: Fields, windows: dict[str, Window]) -> Override:
    return Override(
        tier=keys.read("tier", _tier, 0),
        action_type=keys.read("action_type", _action_type, patterns.EVERY),
        requirements=keys.read("requirements", _requirements, None),
        evidence=keys.read("evidence", _list_of(_name), None),
        clocks=_clocks(keys),
        reason_required=keys.read("reason_required", Reader.flag, None),
        window=keys.read("window", lambda item: item.one_of(windows, what="a window"), None),
        operating_model=keys.read(
            "operating_model",
            lambda item: item.one_of(OperatingModel, what="an operating model"),
            None,
        ),
        pattern=keys.read("pattern", lambda item: item.one_of(Pattern, what="a pattern"), None),
    )


def _action_type(reader: Reader) -> str:
    text = reader.text()
    if not patterns.is_pattern(text) or text == patterns.EVERY:
        reader.problem("must be an action type (refund.issue) or a family (refund.*).")
    return text


def _clocks(keys: Fields) -> Clocks | None:
    decide_by = keys.read("decide_by", Reader.duration, None)
    execute_by = keys.read("execute_by", Reader.duration, None)
    if decide_by and execute_by:
        return Clocks(decide_by, execute_by)
    if decide_by or execute_by:
        only = keys["decide_by" if decide_by else "execute_by"]
        only.problem("decide_by and execute_by come together; add the other one.")
    return None


def _cell(override: Override) -> Cell:
    """The complete cell; gaps were noted as problems and never leave the parser."""
    return Cell(
        requirements=override.requirements or (),
        evidence=override.evidence or (),
        clocks=override.clocks or Clocks(timedelta(hours=1), timedelta(hours=1)),
        reason_required=bool(override.reason_required),
        window=override.window or "",
        operating_model=override.operating_model or "",
        pattern=override.pattern or "",
    )


def _expectation(reader: Reader) -> Expectation:
    keys = reader.fields(required=("name", "facts", "expect"))
    none: Fields = Fields()
    expected = keys.read(
        "expect", lambda item: item.fields(required=("verdict",), optional=("tier", "groups")), none
    )
    groups = expected.read("groups", _list_of(_role), None)
    return Expectation(
        name=keys.read("name", Reader.text, ""),
        facts=keys.read("facts", _facts, Facts()),
        verdict=expected.read("verdict", _verdict, Verdict.DENY),
        tier=expected.read("tier", _tier, None),
        groups=None if groups is None else tuple(sorted(groups)),
    )


def _facts(reader: Reader) -> Facts:
    given: dict[str, object] = {}
    for name, item in reader.entries(list(declared()), what="fact").items():
        fact = declared()[name]
        try:
            given[name] = fact.accept(_text_fact(item) if fact.kind is str else item.value())
        except FactError as error:
            item.problem(str(error))
    return Facts.from_flat(given)


def _text_fact(reader: Reader) -> str:
    return reader.text(may_be_empty=True)


def _refuse_twice(names: Iterable[str], reader: Reader, what: str) -> None:
    for name, count in Counter(names).items():
        if name and count > 1:
            reader.problem(f"{what} '{name}' is used {count} times; keep one or rename.")
