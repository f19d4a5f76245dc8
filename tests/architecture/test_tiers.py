"""The numbers of the tiers stand in the policy's matrix: no code compares a tier with one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import ROOT, last_name, sources

_ORDERINGS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn)
_IN_A_PAGE = re.compile(r"{%[^%]*tier\s*(?:[<>]=?|==|!=|in)\s*['\"\d]")


def bare_tiers(source: str) -> Iterator[int]:
    """Lines that compare a tier with a number, by whatever name: the matrix says what holds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and all(isinstance(op, _ORDERINGS) for op in node.ops):
            sides = [node.left, *node.comparators]
            if any(_is_tier(side) for side in sides) and any(_is_number(side) for side in sides):
                yield node.lineno


def _is_tier(node: ast.expr) -> bool:
    return any(
        isinstance(one, ast.Name | ast.Attribute) and last_name(one).endswith("tier")
        for one in ast.walk(node)
    )


def _is_number(node: ast.expr) -> bool:
    """A number, a constant's name, or a collection or range of such."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(_is_number(item) for item in node.elts)
    if isinstance(node, ast.Call):
        return last_name(node.func) == "range"
    return last_name(node).isupper()


def test_what_a_tier_asks_for_stands_in_the_matrix() -> None:
    found = {f"{path}:{line}" for path, source in sources() for line in bare_tiers(source)}
    pages = [
        str(p) for p in (ROOT / "templates").rglob("*.html") if _IN_A_PAGE.search(p.read_text())
    ]

    assert found == set()
    assert pages == []


@pytest.mark.parametrize(
    "line",
    [
        "request.effective_tier >= 4",
        "tier < STEP_UP_FROM",
        "3 <= request.risk_tier",
        "(request.risk_tier or 0) >= 4",
        "rule.tier in range(4, 6)",
        "tier in (4, 5)",
        "evaluation.tier == HIGH",
    ],
)
def test_a_tier_compared_with_a_number_is_found(line: str) -> None:
    assert list(bare_tiers(line))


def test_tiers_may_be_compared_with_each_other() -> None:
    assert not list(bare_tiers("rule.tier <= stricter.tier"))
    assert _IN_A_PAGE.search("{% if row.tier >= 4 %}")
