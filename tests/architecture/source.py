"""The product's own modules, for tests that read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("config", "approvals", "policies", "connectors", "audit")


def sources() -> Iterator[tuple[str, str]]:
    """Every product module: its path and its text."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), path.read_text()


def last_name(node: ast.expr) -> str:
    """`record` of `record(...)` and of `services.record(...)`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
