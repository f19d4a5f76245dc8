"""Strict YAML: a tree of nodes that remember where they stand, or an error that says where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import yaml

# libyaml where PyYAML was built with it (every wheel is): the same events, ten times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
LARGEST_DOCUMENT = 256 * 1024  # bytes
MOST_NODES = 20_000
DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document, where, and what to do about it."""

    path: str  # "rules[2].when[0]"; "" for the document itself
    line: int  # counted from 1
    column: int
    message: str

    def __str__(self) -> str:
        where = f"{self.path}, line" if self.path else "Line"
        return f"{where} {self.line}, column {self.column}: {self.message}"


class YamlError(Exception):
    """The text cannot be used; `problems` lists everything found, in reading order."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def compose(text: str) -> yaml.Node:
    """Parse one YAML document into nodes.

    Refuses, with YamlError: documents over the size, depth and node caps, several documents
    in one text, tags, anchors and aliases (a few lines of aliases unfold into gigabytes), and
    duplicate keys (YAML would silently keep the last).
    """
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_DOCUMENT:
        raise _refusal(None, f"A document has at most {LARGEST_DOCUMENT // 1024} KiB.")
    half = _HALF_A_CHARACTER.search(text)
    if half:  # libyaml would not say it so
        what = f"U+{ord(half[0]):04X} at position {half.start()}"
        raise _refusal(None, f"{what}: special characters are not allowed.")
    try:
        _scan(text)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        detail = error.problem or error.context or "not YAML"
        raise _refusal(error.problem_mark or error.context_mark, f"{detail}.") from error
    except yaml.reader.ReaderError as error:
        what = f"U+{error.character:04X} at position {error.position}"
        raise _refusal(None, f"{what}: special characters are not allowed.") from error
    except yaml.YAMLError as error:
        raise _refusal(None, f"{error}.".replace("\n", " ")) from error
    if node is None:
        raise _refusal(None, "The document is empty.")
    duplicates = tuple(_duplicates(node, ""))
    if duplicates:
        raise YamlError(duplicates)
    return node


def _scan(text: str) -> None:
    """Walk the events before anything is built, so that a bomb is refused unlit."""
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _refusal(event.start_mark, "One document only; remove the second '---'.")
        if isinstance(event, yaml.AliasEvent):
            raise _refusal(event.start_mark, "Aliases are not allowed; write the value out.")
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            if event.anchor:
                raise _refusal(event.start_mark, "Anchors are not allowed; write the value out.")
            tag = getattr(event, "tag", None)
            if tag is not None:
                raise _refusal(event.start_mark, f"Tags are not allowed; remove '{tag}'.")
            if nodes > MOST_NODES:
                raise _refusal(event.start_mark, f"More than {MOST_NODES:,} values.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _refusal(event.start_mark, f"Nested deeper than {DEEPEST} levels.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _duplicates(node: yaml.Node, path: str) -> Iterator[Problem]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(item, f"{path}[{index}]")
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        mark = key.start_mark
        if not isinstance(key, yaml.ScalarNode):
            yield Problem(path, mark.line + 1, mark.column + 1, "A key is a plain word.")
            continue
        inner = f"{path}.{key.value}" if path else key.value
        if key.value in seen:
            message = f"'{key.value}' is already set on line {seen[key.value]}; keep one of them."
            yield Problem(inner, mark.line + 1, mark.column + 1, message)
        seen.setdefault(key.value, mark.line + 1)
        yield from _duplicates(value, inner)


class _Mark(Protocol):
    line: int
    column: int


def _refusal(mark: _Mark | None, message: str) -> YamlError:
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return YamlError((Problem("", line, column, message),))
