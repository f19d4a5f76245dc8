"""What the static checks found, gravest first, for the pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policies.findings import Finding, Severity

_TITLES = {
    Severity.ERROR: ("To put right", "loud"),
    Severity.WARNING: ("To look at", "warn"),
    Severity.NOTE: ("Good to know", "info"),
}


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one severity."""

    title: str
    tone: str
    findings: tuple[Finding, ...]


def grouped(findings: Iterable[Finding]) -> tuple[Group, ...]:
    """By severity, gravest first; what nothing was found of is left out."""
    found = tuple(findings)
    groups = (
        Group(*_TITLES[severity], tuple(one for one in found if one.severity == severity))
        for severity in Severity
    )
    return tuple(group for group in groups if group.findings)
