"""Runs the tests a policy document brings along."""

from __future__ import annotations

from policies.document import Document, Expectation
from policies.evaluate import evaluate
from policies.verdicts import Evaluation


def failed_tests(document: Document) -> tuple[str, ...]:
    """One sentence per test of the document whose answer is another; empty when all pass."""
    return tuple(
        f"Test '{test.name}': {difference}"
        for test, differences in results(document)
        for difference in differences
    )


def results(document: Document) -> tuple[tuple[Expectation, tuple[str, ...]], ...]:
    """Every test of the document, with how its answer differs; nothing when it passes."""
    return tuple(
        (test, tuple(_differences(test, evaluate(document, test.facts, version="test"))))
        for test in document.tests
    )


def _differences(test: Expectation, found: Evaluation) -> list[str]:
    result = []
    if found.verdict != test.verdict:
        result.append(f"expected {test.verdict}, got {found.verdict}.")
    if test.tier is not None and found.tier != test.tier:
        result.append(f"expected tier {test.tier}, got {found.tier}.")
    groups = tuple(sorted(spec.group for spec in found.requirements))
    if test.groups is not None and groups != test.groups:
        result.append(f"expected {_named(test.groups)}, got {_named(groups)}.")
    return result


def _named(groups: tuple[str, ...]) -> str:
    return " and ".join(groups) or "nobody"
