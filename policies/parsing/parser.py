"""YAML text in, `Document` out; or every mistake with its path, line, column and remedy.

The sections about time (change windows, business hours, freezes) are read here too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from audit.lib.canonical import digest
from audit.lib.yaml_reader import Fields, Reader
from audit.lib.yaml_source import Problem
from policies import patterns
from policies.cel.compiler import Parameters
from policies.document import ASKS_SECURITY, Category, Document, Expectation, TierRule
from policies.facts import CASE, WEEKDAYS, FactError, Facts, declared
from policies.parsing.matrix import read_asked, read_matrix, read_tier, refuse_twice
from policies.parsing.rules import (
    RuleReading,
    Vocabulary,
    read_clauses,
    read_name,
    read_pattern,
    read_verdict,
)
from policies.parsing.triggers import read_triggers
from policies.parsing.yaml_source import DocumentError, compose
from policies.verdicts import HIGHEST_TIER, Verdict
from policies.windows import Freeze, Window, freeze_span

T = TypeVar("T")

GRAMMAR = 2
"""What documents are written in now; `policies.parsing.grammar` upgrades older ones."""
_OPTIONAL = (
    "grammar", "parameters", "categories", "windows", "business_hours", "freezes", "triggers",
    "tests",
)  # fmt: skip
_PARAMETER = re.compile(r"\A[a-z][a-z0-9_]{0,39}\Z", re.ASCII)
_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in",
     "let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"}
)  # fmt: skip
"""Words CEL keeps for itself."""
_NUMBER = re.compile(r"\Aparam\.([a-z0-9_]+)(?: ([+-]) (\d{1,15}))?\Z", re.ASCII)


def parse_document(text: str) -> Document:
    """Read a policy document, or a floor; raises DocumentError with every problem found."""
    problems: list[Problem] = []
    root = compose(text)
    if is_floor(root):
        return _floor(text, Reader(root, "", problems), problems)
    keys = Reader(root, "", problems).fields(
        required=("rules", "tiers", "matrix"), optional=_OPTIONAL
    )
    keys.read("grammar", _grammar, None)
    parameters = keys.read("parameters", _parameters, ())
    categories = keys.read("categories", _categories, {})
    words = Vocabulary(parameters, tuple(categories))
    windows = keys.read("windows", read_windows, {})
    business_hours = keys.read("business_hours", read_business_hours, None)
    freezes = keys.read("freezes", read_freezes, ())
    triggers = keys.read("triggers", lambda item: read_triggers(item, words), ())
    reading = RuleReading(words)
    rules = keys.read("rules", reading.rules, ())
    tiers = keys.read("tiers", _list_of(lambda item: _tier_rule(item, words), at_most=200), ())
    matrix = keys.read("matrix", lambda reader: read_matrix(reader, windows), None)
    tests = keys.read("tests", _list_of(lambda item: _expectation(item, words), at_most=500), ())
    if "tiers" in keys and not tiers:
        keys["tiers"].problem("needs a rule.")
    if "tests" in keys:
        refuse_twice((test.name for test in tests), keys["tests"], "test name")
    _refuse(problems)
    assert matrix is not None  # noqa: S101 - without a problem there is one
    return Document(
        digest=digest(text),
        rules=rules,
        tiers=tiers,
        matrix=matrix,
        windows=windows,
        tests=tests,
        business_hours=business_hours,
        freezes=freezes,
        triggers=triggers,
        parameters=parameters,
        categories=categories,
    )


def is_floor(root: yaml.Node) -> bool:
    """Whether the document says `kind: floor`."""
    entries = root.value if isinstance(root, yaml.MappingNode) else ()
    return any(key.value == "kind" and value.value == "floor" for key, value in entries)


def _floor(text: str, reader: Reader, problems: list[Problem]) -> Document:
    """Rules that ask or deny and tiers that raise: what is evaluated with every version.

    It has no matrix, and no parameters: a version's could not be told from them.
    """
    keys = reader.fields(
        required=("kind", "rules"),
        optional=("grammar", "categories", "tiers", "triggers", "tests"),
    )
    keys.read("grammar", _grammar, None)
    categories = keys.read("categories", _categories, {})
    words = Vocabulary((), tuple(categories))
    rules = keys.read("rules", RuleReading(words, of_floor=True).rules, ())
    tiers = keys.read("tiers", _list_of(lambda item: _tier_rule(item, words), at_most=200), ())
    triggers = keys.read("triggers", lambda item: read_triggers(item, words), ())
    tests = keys.read("tests", _list_of(lambda item: _expectation(item, words), at_most=500), ())
    if "tests" in keys:
        refuse_twice((test.name for test in tests), keys["tests"], "test name")
    _refuse(problems)
    return Document(
        digest=digest(text),
        rules=rules,
        tiers=tiers,
        matrix=ASKS_SECURITY,
        windows={},
        triggers=triggers,
        tests=tests,
        categories=categories,
        is_floor=True,
    )


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise DocumentError(tuple(sorted(problems, key=lambda p: (p.line, p.column))))


def _grammar(reader: Reader) -> None:
    number = reader.whole(low=1, high=1_000)
    if number > GRAMMAR:
        reader.problem(f"grammar {number} is newer than {GRAMMAR}, which this release reads.")
    elif number < GRAMMAR:
        reader.problem(f"is {number}; write grammar: {GRAMMAR} and what it asks for.")


def _list_of(read: Callable[[Reader], T], *, at_most: int) -> Callable[[Reader], tuple[T, ...]]:
    return lambda reader: reader.each(read, at_most=at_most)


def _parameters(reader: Reader) -> Parameters:
    found = []
    for name, item in reader.entries().items():
        if not _PARAMETER.match(name) or name in _RESERVED:
            item.problem(f"'{name}' is not a name; write small letters, digits and _.")
            continue
        found.append((name, item.whole(low=-(2**63), high=2**63 - 1)))
    if len(found) > 100:
        reader.problem("has more than 100 entries; remove what no rule uses.")
        return ()
    return tuple(found)


def _categories(reader: Reader) -> dict[str, Category]:
    return {name: _category(name, item) for name, item in reader.entries().items()}


def _category(name: str, reader: Reader) -> Category:
    keys = reader.fields(required=("owner", "meaning"))
    if not 0 < len(name) <= 60:
        reader.problem("a category's name has 1 to 60 characters.")
    return Category(name, keys.read("owner", read_name, ""), keys.read("meaning", Reader.text, ""))


def _tier_rule(reader: Reader, words: Vocabulary) -> TierRule:
    keys = reader.fields(required=("tier", "reason", "when"))
    return TierRule(
        tier=keys.read("tier", read_tier, HIGHEST_TIER),
        reason=keys.read("reason", words.reason, ""),
        when=keys.read("when", lambda item: read_clauses(item, words), ()),
    )


def _expectation(reader: Reader, words: Vocabulary) -> Expectation:
    keys = reader.fields(required=("name", "facts", "expect"))
    none: Fields = Fields()
    expected = keys.read(
        "expect", lambda item: item.fields(required=("verdict",), optional=("tier", "groups")), none
    )
    groups = expected.read("groups", _list_of(read_asked, at_most=100), None)
    return Expectation(
        name=keys.read("name", Reader.text, ""),
        facts=keys.read("facts", lambda item: _facts(item, words), Facts()),
        verdict=expected.read("verdict", read_verdict, Verdict.DENY),
        tier=expected.read("tier", read_tier, None),
        groups=None if groups is None else tuple(sorted(groups)),
    )


def _facts(reader: Reader, words: Vocabulary) -> Facts:
    given: dict[str, object] = {}
    for name, item in reader.entries([*declared(), *CASE], what="fact").items():
        if name in CASE:
            given[name] = item.value()
            if not isinstance(given[name], dict):
                item.problem(f"{name} is an object; write its fields below it.")
                given[name] = {}
            continue
        fact = declared()[name]
        try:
            given[name] = fact.accept(_value(item, fact.kind, words))
        except FactError as error:
            item.problem(str(error))
    return Facts.from_flat(given)


def _value(reader: Reader, kind: type, words: Vocabulary) -> object:
    if kind is str:
        return reader.text(may_be_empty=True)
    value = reader.value()
    if kind is int and isinstance(value, str):
        found = _NUMBER.match(value)
        if found:  # "param.refund_automatic + 1": the test moves with the number
            step = int(found[3] or 0)
            return words.number(found[1], reader) + (-step if found[2] == "-" else step)
    return value


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
        lambda item: item.each(read_pattern, empty="needs an action type; leave it out for all."),
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
