"""`.env.example` has every variable the settings read, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
_READERS = {"a_secret", "value", "address", "a_port", "a_rate"}
_OF_OUR_PROCESSES = {"DJANGO_SETTINGS_MODULE"}


def variables_read() -> set[str]:
    """The first argument of every `env.xxx(...)`, `os.environ.get(...)` and of their wrappers."""
    found = set()
    for path in (ROOT / "config").rglob("*.py"):
        found |= set(_read_in(ast.parse(path.read_text())))
    return found - _OF_OUR_PROCESSES


def _read_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        first = node.args[0]
        reads = (isinstance(node.func, ast.Name) and node.func.id in _READERS) or (
            isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) in {"env", "os.environ"}
        )
        if reads and isinstance(first, ast.Constant) and str(first.value).isupper():
            yield str(first.value)


def test_every_variable_is_explained_and_no_other() -> None:
    explained = re.findall(r"(?m)^(?:# )?([A-Z][A-Z_]+)=", EXAMPLE)

    assert len(explained) == len(set(explained))
    assert set(explained) == variables_read()


def test_the_reading_finds_what_settings_read() -> None:
    assert {"PORT", "SECRET_KEY", "PAYMENTS_URL", "DEMO_AGENT"} <= variables_read()
