"""What the pages say of a text: what static checks found, gravest first, and what it changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policies.document import Document
from policies.services.publishable import check_document
from policies.static_analysis.compare import Change
from policies.static_analysis.findings import Finding, Severity

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
    known = {_key(one) for one in check_document(before, None)} if before else set()
    found = check_document(document, before, text=text)
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


_FIRST = ("parameter ", "rule ")


@dataclass(frozen=True, slots=True)
class Changes:
    """What requests notice, and what only the document's own tests do."""

    noticed: tuple[Change, ...]
    tests: tuple[Change, ...]


def sorted_out(changes: Iterable[Change]) -> Changes:
    """Parameters, then rules, then the rest; each in the order a document is read in."""
    found = tuple(changes)
    noticed = [one for one in found if not one.what.startswith('test "')]
    noticed.sort(key=lambda one: _place(one.what))
    return Changes(tuple(noticed), tuple(one for one in found if one.what.startswith('test "')))


def _place(what: str) -> int:
    return next((n for n, start in enumerate(_FIRST) if what.startswith(start)), len(_FIRST))
