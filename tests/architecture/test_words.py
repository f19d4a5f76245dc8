"""Names are the field's own words: a private noun in an identifier is found here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("config", "approvals", "policies", "connectors", "audit")

INSTEAD = {
    "door": "review action, object action",
    "doors": "review actions, object actions",
    "sitting": "decision context",
    "glass": "break_glass",
    "breaker": "whoever used break-glass",
    "lent": "delegated",
    "battery": "rule set, compiled rules",
    "heard": "evaluation",
    "landmarks": "static analysis",
    "judge": "evaluate (policy), authorise (a person)",
    "judged": "evaluated, checked",
    "judgement": "evaluation, check",
    "weigh": "usage",
    "tally": "count, usage",
    "peek": "usage",
    "keeper": "agent ownership",
    "keeping": "agent ownership",
    "doorbell": "outbox",
    "ring": "enqueue",
    "errand": "sweep job",
    "errands": "sweep jobs",
    "lesson": "rejection note",
    "unseal": "read_token",
    "sealed": "signed, stored",
    "desk": "claims, policy editor",
    "grounds": "authority",
    "riddle": "a plain word",
}
"""Word of an identifier -> what the field says. HOUSE's table, as far as one word gives it away."""

STORED = {"broken_glass", "broke_glass"}
"""Names a migration gave that stay: related names of `BreakGlass`."""


def identifiers(source: str) -> Iterator[str]:
    """Every name the code defines or uses."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.alias(name=name):
                yield name


def private_words(source: str) -> set[str]:
    """The identifiers with a word in them that is ours and nobody else's."""
    return {
        name
        for name in identifiers(source)
        if name not in STORED
        for word in re.findall(
            r"[A-Z]?[a-z]+|[A-Z]+",
            name.replace("break_glass", "").replace("BREAK_GLASS", "").replace("BreakGlass", ""),
        )
        if word.lower() in INSTEAD
    }


def _modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


@pytest.mark.parametrize("folder", APPS)
def test_identifiers_use_the_fields_words(folder: str) -> None:
    found = {
        str(path.relative_to(ROOT)): words
        for path in _modules(folder)
        if (words := private_words(path.read_text()))
    }

    assert found == {}


def test_no_module_has_a_private_name() -> None:
    named = [
        str(p.relative_to(ROOT)) for p in _modules(*APPS) if set(p.stem.split("_")) & set(INSTEAD)
    ]

    assert [name for name in named if "break_glass" not in name] == []


@pytest.mark.parametrize(
    "planted", ["def sit_down(sitting): ...", "class Battery: ...", "row.doors = 1", "ring(task=1)"]
)
def test_a_private_word_is_found(planted: str) -> None:
    assert private_words(planted)
