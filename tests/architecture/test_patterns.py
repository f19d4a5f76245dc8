"""No text makes a pattern slow: every pattern of the code base meets its worst texts.

The patterns are found in the source, so that a new one cannot be forgotten. Free text meets RE2,
which never backtracks; a pattern of the standard library is named here with the reason why it has
nothing to go back to, and is measured all the same.
"""

from __future__ import annotations

import ast
import importlib
import time
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from approvals.api import serializers
from approvals.api.parsers import MAX_BYTES
from connectors.registry import action_types
from tests.architecture.test_structure import APPS, ROOT
from tests.architecture.worst_text import runs, worst_texts

LONGEST_TEXT = 40_000
"""The longest text of a message, an excerpt, in characters of two bytes each."""
LONGEST_TURN = 0.05  # seconds of this process, not of the clock: other programs run, too

STANDARD_LIBRARY = {
    "approvals/api/datetime_fields.py": "a fixed number of digits",
    "approvals/api/parsers.py": "reads bytes; its repeats are possessive",
    "approvals/inspection/amounts.py": "one possessive repeat; many matches, which RE2 is slow at",
    "approvals/selectors/search.py": "anchored; digits, a point, digits, three letters",
    "audit/lib/money.py": "anchored; digits, a point, digits",
    "config/logs.py": "each repeat ends where no other can begin",
    "config/middleware.py": "anchored, one class, at most 100 characters",
    "config/start.py": "a library's own sentence about our environment",
    "config/env.py": "our own environment",
    "connectors/connections.py": "anchored, one class; possessive around one character",
    "connectors/credentials.py": "anchored; one class, so many characters",
    "connectors/declared/expressions.py": "a reviewed file's own braces; one class, anchored",
    "connectors/declared/reading.py": "anchored; one class, so many characters",
    "connectors/sandbox/operations.py": "the sandbox; anchored, one class",
    "connectors/sandbox/payments.py": "the sandbox; anchored, two words around a bracket",
    "policies/static_analysis/lint.py": "a policy document's lines; possessive blanks",
    "audit/lib/cel_tree.py": "the engine's own error messages",
    "policies/cel/compiler.py": "the engine's own error messages; a pattern's character or two",
    "policies/patterns.py": "anchored; words and a point",
    "policies/parsing/parser.py": "anchored names",
    "audit/lib/yaml_reader.py": "anchored; a fixed number of digits",
    "policies/parsing/rules.py": "one class between braces; a fixed number of digits",
    "audit/lib/yaml_source.py": "one character; RE2 cannot read half a character",
    "policies/team_names.py": "anchored, one class, at most 30 characters",
    "policies/hours.py": "anchored; words and a fixed number of digits",
    "policies/services/rates.py": "anchored; a bounded number of digits",
}


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def _engine_calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls of `re.anything` and `re2.anything` that take a pattern."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id in {"re", "re2"}:
                yield node


def _is_pattern(value: object) -> bool:
    return hasattr(value, "finditer") and hasattr(value, "pattern")


def _patterns_in(value: object, depth: int = 2) -> Iterator[Any]:
    if _is_pattern(value):
        yield value
    elif depth and isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            yield from _patterns_in(item, depth - 1)
    elif depth and isinstance(value, dict):
        yield from _patterns_in([*value, *value.values()], depth)


def _patterns_of(path: str) -> list[Any]:
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    found = _patterns_in([v for k, v in vars(module).items() if not k.startswith("__")], 3)
    return list({id(pattern): pattern for pattern in found}.values())


COMPILING = [path for path, tree in _sources() if any(_engine_calls(tree))]


def _says(pattern: Any) -> str:
    source = pattern.pattern
    return source if isinstance(source, str) else source.decode()


def _turn(pattern: Any, text: str, *, every_match: bool) -> float:
    subject = text if isinstance(pattern.pattern, str) else text.encode()
    spent = LONGEST_TURN
    for _ in range(3):  # the first of a process also builds tables
        begun = time.process_time()
        if every_match:
            for _found in pattern.finditer(subject):
                pass
        else:
            pattern.search(subject)
        spent = time.process_time() - begun
        if spent < LONGEST_TURN:
            break
    return spent


@pytest.mark.once
@pytest.mark.parametrize("path", COMPILING)
def test_no_text_at_the_caps_takes_a_pattern_longer_than_fifty_milliseconds(path: str) -> None:
    goes_on = any(word in (ROOT / path).read_text() for word in (".finditer(", ".sub("))

    slow = [
        (_says(pattern)[:60], text[:20], text[-5:], size)
        for pattern in _patterns_of(path)
        for texts, size in ((worst_texts, LONGEST_TEXT), (runs, MAX_BYTES))
        for text in texts(_says(pattern), size=size)
        if _turn(pattern, text, every_match=goes_on and size == LONGEST_TEXT) >= LONGEST_TURN
    ]

    assert slow == []


@pytest.mark.once
def test_every_pattern_is_compiled_where_it_can_be_found() -> None:
    """At a module's top, by `compile`; not inside a function, not from a name imported bare."""
    hidden = []
    for path, tree in _sources():
        calls = list(_engine_calls(tree))
        other = [c for c in calls if c.func.attr not in {"compile", "escape"}]  # type: ignore[attr-defined]
        hidden += [f"{path}:{call.lineno}" for call in other]
        hidden += [
            f"{path}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in {"re", "re2"}
        ]
        compiled = [c for c in calls if c.func.attr == "compile"]  # type: ignore[attr-defined]
        if compiled and len(_patterns_of(path)) < len(compiled):
            hidden.append(f"{path}: {len(compiled)} compiled, fewer at its top")

    assert hidden == []


@pytest.mark.once
def test_the_standard_librarys_engine_is_used_for_named_reasons_only() -> None:
    using = {
        path
        for path, tree in _sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) and any(name.name == "re" for name in node.names)
    }

    assert using == set(STANDARD_LIBRARY)


@pytest.mark.once
def test_no_text_takes_a_field_of_a_message_longer() -> None:
    fields = [
        (name, field, validator.regex)
        for name, kind in vars(serializers).items()
        if hasattr(kind, "_declared_fields")
        for field, declared in kind._declared_fields.items()
        for validator in declared.validators
        if _is_pattern(getattr(validator, "regex", None))
    ]

    slow = [
        (name, field, text[:20])
        for name, field, pattern in fields
        for text in runs(pattern.pattern, size=MAX_BYTES)
        if _turn(pattern, text, every_match=False) >= LONGEST_TURN
    ]

    assert len(fields) >= 4
    assert slow == []


def _string_patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from _string_patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _string_patterns(value)


@pytest.mark.once
def test_no_text_takes_a_schema_of_params_longer() -> None:
    patterns = {p for kind in action_types() for p in _string_patterns(kind.schema)}

    slow = []
    for pattern in sorted(patterns):
        validator = jsonschema_rs.Draft202012Validator(
            {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()
        )
        for text in runs(pattern, size=MAX_BYTES):
            begun = time.process_time()
            validator.is_valid(text)
            if time.process_time() - begun >= LONGEST_TURN:
                slow.append((pattern, text[:20]))

    assert patterns
    assert slow == []


def test_the_naive_spelling_of_an_injection_is_caught_by_this_very_measure() -> None:
    """What these tests are worth: a short pattern that goes back is found out at once."""
    import re

    naive = re.compile(r"^\s*(\#+)?\s*(system)?\s*(message)?\s*:", re.MULTILINE)

    assert _turn(naive, "\n" * 90, every_match=False) >= LONGEST_TURN
