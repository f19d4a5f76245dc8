"""Documents published in an older grammar stay readable: they are upgraded as they are read.

The text that was published never changes. What is evaluated is the text an upgrade makes of it,
the same every time; risk owners get that text as the draft of a successor.

A change of grammar is a number more in `policies.parsing.parser.GRAMMAR` and an upgrade here,
which changes nothing in a text that needs nothing. Documents without `grammar:` were written
before there were numbers, in grammar 1 or 2.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

from audit.lib.yaml_reader import PLAIN_WHOLE, Reader
from audit.lib.yaml_source import Problem
from policies.document import Document
from policies.matrix import RUNS_BY_ITSELF, Cell, OperatingModel, Pattern, guarded, shape_of
from policies.parsing.matrix import entries_of, misfit
from policies.parsing.parser import GRAMMAR, parse_document
from policies.parsing.yaml_source import DocumentError, compose

_MOST_CHANGES = 1_000


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade made of a text, and in sentences what it changed."""

    text: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored document as it is read today."""

    document: Document
    text: str  # as stored, or upgraded
    changes: tuple[str, ...] = ()  # empty when the text is read as it stands


def read_stored(text: str) -> Stored:
    """Read a document an earlier release accepted; raises DocumentError when none of it helps.

    The problems are those of the text as it stands.
    """
    try:
        return Stored(parse_document(text), text)
    except DocumentError as refusal:
        upgraded = upgrade(text)
        if not upgraded.changes:
            raise
        try:
            return Stored(parse_document(upgraded.text), upgraded.text, upgraded.changes)
        except DocumentError:
            raise refusal from None


def upgrade(text: str) -> Upgraded:
    """The text in today's grammar, comments and order as they were; raises DocumentError."""
    number = _number(compose(text))
    changes: list[str] = []
    for older in range(number, GRAMMAR):
        done = _UPGRADES[older](text)
        text = done.text
        changes += done.changes
    if changes:
        text = _with_key(text, _root(text), "grammar", str(GRAMMAR))
    return Upgraded(text, tuple(changes))


def _number(root: yaml.Node) -> int:
    node = _value(root, "grammar")
    written = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    return int(written) if PLAIN_WHOLE.match(written) and 1 <= int(written) <= GRAMMAR else 1


# --- From 1 to 2: categories are declared, patterns are true, numbers are read as written ---------


def _from_1_to_2(text: str) -> Upgraded:
    changes: list[str] = []
    for step in (_plain_numbers, _declared_categories, _true_patterns):
        done = step(text)
        text = done.text
        changes += done.changes
    return Upgraded(text, tuple(changes))


def _plain_numbers(text: str) -> Upgraded:
    """Grammar 1 took 010 for eight, as YAML does."""
    changes = []
    for node in reversed([*_tiers_and_counts(compose(text))]):  # from the end: places stay true
        value = Reader(node, "", []).value()
        if type(value) is int and not PLAIN_WHOLE.match(str(node.value)):
            text = _replaced(text, node, str(value))
            changes.append(f"The number {node.value} is written {value}.")
    return Upgraded(text, tuple(reversed(changes)))


def _tiers_and_counts(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _tiers_and_counts(item)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value in {"tier", "quorum", "stage"}:
                yield value
            yield from _tiers_and_counts(value)


def _declared_categories(text: str) -> Upgraded:
    """Grammar 1 let rules name categories nobody answers for."""
    root = _root(text)
    if _value(root, "categories") is not None:
        return Upgraded(text)
    named: dict[str, tuple[str, str]] = {}
    rules = _value(root, "rules")
    for rule in rules.value if isinstance(rules, yaml.SequenceNode) else ():
        listed = _value(rule, "categories")
        for item in listed.value if isinstance(listed, yaml.SequenceNode) else ():
            named.setdefault(str(item.value).strip(), (_text(rule, "owner"), _text(rule, "id")))
    if not named:
        return Upgraded(text)
    entries = {
        name: {"owner": owner, "meaning": f"Named by the rule {id}; say here what it means."}
        for name, (owner, id) in named.items()
    }
    # JSON is YAML, and quotes whatever needs it
    written = json.dumps(entries, ensure_ascii=False)
    if not root.flow_style:
        lines = [
            f"\n  {json.dumps(name, ensure_ascii=False)}:"
            + "".join(
                f"\n    {key}: {json.dumps(value, ensure_ascii=False)}"
                for key, value in entry.items()
            )
            for name, entry in entries.items()
        ]
        written = "".join(lines)
    return Upgraded(
        _with_key(text, root, "categories", written),
        tuple(
            f"The category '{name}' is declared; {owner} answers for it."
            for name, (owner, _) in named.items()
        ),
    )


def _true_patterns(text: str) -> Upgraded:
    """Grammar 1 took a cell's pattern for a remark; now it has to be what the people make."""
    changes: list[str] = []
    while len(changes) < _MOST_CHANGES:
        corrected = _first_untrue(text)
        if corrected is None:
            break
        text, change = corrected
        changes.append(change)
    return Upgraded(text, tuple(changes))


def _first_untrue(text: str) -> tuple[str, str] | None:
    """The text with the first untrue pattern or model put right, tiers before what varies them."""
    root = compose(text)
    problems: list[Problem] = []
    section, windows = _value(root, "matrix"), _value(root, "windows")
    names = [key.value for key, _ in windows.value] if windows is not None else []
    if section is None:
        return None
    entries, matrix = entries_of(Reader(section, "matrix", problems), dict.fromkeys(names))
    if problems:  # the parser says which
        return None
    for entry in sorted(entries, key=lambda one: "action_type" in one.keys):
        node = entry.reader.node
        if not isinstance(node, yaml.MappingNode):
            continue
        tier, action_type = entry.override.tier, entry.override.action_type
        cell = matrix.cell(tier, action_type)
        model, pattern = _fitting(cell, tier)
        where = f"tier {tier}" + (f", {action_type}" if "action_type" in entry.keys else "")
        for key, was, true in (
            ("operating_model", cell.operating_model, model),
            ("pattern", cell.pattern, pattern),
        ):
            if was != true:
                changed = _with_key(text, node, key, true)
                return changed, f"{where}: the {key.replace('_', ' ')} is '{true}', not '{was}'."
    return None


def _fitting(cell: Cell, tier: int) -> tuple[str, str]:
    """Model and pattern for the same people; where both would do, the stricter one."""
    model, pattern = cell.operating_model, cell.pattern
    if model in RUNS_BY_ITSELF and guarded(cell, tier).always_people:
        model = OperatingModel.IN_THE_LOOP
    if not cell.requirements:
        automatic = model in RUNS_BY_ITSELF
        if automatic and pattern in (Pattern.NO_APPROVAL, Pattern.EXCEPTION_ONLY):
            return model, pattern
        return (model if automatic else OperatingModel.ON_THE_LOOP), Pattern.EXCEPTION_ONLY
    if model in RUNS_BY_ITSELF:
        if pattern in (Pattern.NO_APPROVAL, Pattern.SAMPLED):  # 1 had no sample_percent
            pattern = Pattern.EXCEPTION_ONLY if not cell.sample_percent else pattern
    elif pattern in (
        Pattern.NO_APPROVAL,
        Pattern.SAMPLED,
        Pattern.EXCEPTION_ONLY,
        Pattern.THRESHOLD,
    ):
        pattern = shape_of(cell.requirements)
    if misfit(model, pattern, cell.requirements):
        pattern = shape_of(cell.requirements)
    return model, pattern


_UPGRADES: dict[int, Callable[[str], Upgraded]] = {1: _from_1_to_2}
"""By the grammar they upgrade from, each to the next one."""


# --- Changing a text in place ---------------------------------------------------------------------


def _root(text: str) -> yaml.MappingNode:
    """The document's own mapping; an empty one when it is something else."""
    node = compose(text)
    return node if isinstance(node, yaml.MappingNode) else yaml.MappingNode("", [])


def _value(node: yaml.Node, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == name), None)
    return None


def _text(node: yaml.Node, name: str) -> str:
    found = _value(node, name)
    return str(found.value).strip() if isinstance(found, yaml.ScalarNode) else ""


def _with_key(text: str, mapping: yaml.MappingNode, name: str, value: str) -> str:
    """The text with a key of the mapping set, in front of the others when it is new."""
    present = _value(mapping, name)
    if present is not None:
        return _replaced(text, present, value)
    mark = mapping.value[0][0].start_mark
    between = ", " if mapping.flow_style else "\n" + " " * mark.column
    if not mapping.flow_style and mark.column == 0:
        between = "\n\n"
    gap = "" if value.startswith("\n") else " "
    return f"{text[: mark.index]}{name}:{gap}{value}{between}{text[mark.index :]}"


def _replaced(text: str, node: yaml.Node, value: str) -> str:
    return f"{text[: node.start_mark.index]}{value}{text[node.end_mark.index :]}"
