"""What the static checks found, gravest first, for the pages."""

from __future__ import annotations

from dataclasses import dataclass

from policies.checks.findings import Finding, Severity
from policies.document import Document
from policies.services.checking import check

_TITLES = {
    Severity.ERROR: ("To put right", "loud"),
    Severity.WARNING: ("To look at", "warn"),
    Severity.NOTE: ("Good to know", "info"),
}
_OLD = ("As in the version in force", "plain")


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one severity."""

    title: str
    tone: str
    findings: tuple[Finding, ...]
    is_old: bool = False  # said of the version in force too, word for word


def findings_about(document: Document, before: Document | None, text: str) -> tuple[Group, ...]:
    """By severity, gravest first; last what is said of the version in force word for word."""
    known = {_key(one) for one in check(before, None)} if before else set()
    found = check(document, before, text=text)
    groups = [
        Group(
            *_TITLES[severity],
            tuple(one for one in found if one.severity == severity and _key(one) not in known),
        )
        for severity in Severity
    ]
    groups.append(Group(*_OLD, tuple(one for one in found if _key(one) in known), is_old=True))
    return tuple(group for group in groups if group.findings)


def _key(finding: Finding) -> tuple[str, ...]:
    return finding.severity.value, finding.code, finding.what, finding.sentence
