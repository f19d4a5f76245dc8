"""A rule somebody suggests: an approval given in advance, as text in the version in force."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import yaml


@dataclass(frozen=True, slots=True)
class SuggestedRule:
    """What holds, until when, and which rules that ask people it stands in for."""

    id: str
    owner: str
    reason: str
    clauses: tuple[str, ...]
    until: date
    instead_of: tuple[str, ...]

    def written(self) -> str:
        """The rule as documents have it, not indented."""
        rule = {
            "id": self.id,
            "owner": self.owner,
            # what stands in braces would be read as a parameter of the document
            "reason": self.reason.replace("{", "(").replace("}", ")"),
            "when": list(self.clauses),
            "effect": "allow",
            "standing": {"until": self.until.isoformat(), "instead_of": list(self.instead_of)},
        }
        return yaml.safe_dump([rule], sort_keys=False, allow_unicode=True, width=92)


def with_rule(document: str, rule: SuggestedRule) -> str:
    """The document with the rule as the last of its rules: after every denial.

    Every other line stays as it is written, comments too.
    """
    lines = document.splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if line.startswith("rules:")) + 1
    end = next((n for n in range(begin, len(lines)) if _begins_a_key(lines[n])), len(lines))
    while _says_nothing(lines[end - 1]):
        end -= 1
    first = next(line for line in lines[begin:end] if line.lstrip().startswith("- "))
    indent = " " * (len(first) - len(first.lstrip()))
    before = "".join(lines[:end])
    gap = "" if before.endswith("\n") else "\n"
    return before + gap + textwrap.indent(rule.written(), indent) + "".join(lines[end:])


def _begins_a_key(line: str) -> bool:
    return bool(line.strip()) and not line.startswith((" ", "-", "#", "\t"))


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.startswith("#")


def clauses_of_scope(facts: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Facts and what each must be, as clauses."""
    return tuple(f"{name} == {_quoted(value)}" for name, value in facts)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
