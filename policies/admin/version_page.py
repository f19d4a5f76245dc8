"""What the page of one version says: where it stands, what to do next, and everything about it."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.formats import date_format

from audit.models import AuditEvent
from audit.selectors import describe, events_of
from policies.admin.findings import Changes, Group, findings_about, sorted_out
from policies.admin.replay_panel import ReplayPanel, ShadowChart, newest_panel, shadow_chart
from policies.document import Document, Expectation, Rule
from policies.matrix import Cell, guarded
from policies.models import PolicyEdit, PolicyVersion, User
from policies.models.versions import VersionKind, VersionStatus
from policies.services.evaluation import document_of
from policies.services.publishable import (
    UNPUBLISHED,
    in_force,
    involvement_in,
    unready,
    why_not_request,
)
from policies.static_analysis.compare import compare
from policies.static_analysis.lint import tested
from policies.static_analysis.wording import requirements, shown

_MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class Test:
    """One test the document brings along, run now."""

    test: Expectation
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule, and in words what it says when it holds."""

    rule: Rule
    says: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TierRow:
    """One line of the matrix in words."""

    tier: int
    action_type: str
    who: str
    evidence: str
    decide_by: str
    execute_by: str
    asks: tuple[str, ...]
    window: str
    operating_model: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Text:
    """One text the version had, and how it differs from the one before it."""

    edit: PolicyEdit
    is_current: bool
    changes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the version's own trail."""

    at: datetime
    sentence: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPage:
    """Everything on the page beside the row itself."""

    step: Step
    document: Document | None
    unreadable: str
    compared_with: PolicyVersion | None
    changes: Changes
    lines: tuple[tuple[str, str], ...]
    findings: tuple[Group, ...]
    tests: tuple[Test, ...]
    failing: int
    rules: tuple[RuleRow, ...]
    matrix: tuple[TierRow, ...]
    texts: tuple[Text, ...]
    happenings: tuple[Happening, ...]
    replay: ReplayPanel | None
    shadow: ShadowChart | None
    successor: PolicyVersion | None
    may_write: bool
    is_open: bool  # neither in force nor over


def version_page(version: PolicyVersion, *, viewer: User, may_write: bool) -> VersionPage:
    """Read it all; fixed in its number of queries but for the texts."""
    parsed = document_of(version)
    document = None if isinstance(parsed, str) else parsed
    compared = compared_with(version)
    earlier = document_of(compared) if compared else None
    before = earlier if isinstance(earlier, Document) else None
    tests = tuple(Test(*one) for one in tested(document)) if document else ()
    replay = newest_panel(version)
    return VersionPage(
        step=next_step(version, viewer=viewer, may_write=may_write, replay=replay),
        document=document,
        unreadable=parsed if isinstance(parsed, str) else "",
        compared_with=compared,
        changes=sorted_out(compare(before, document) if before and document else ()),
        lines=_difference(compared.document, version.document) if compared else (),
        findings=findings_about(document, before, version.document) if document else (),
        tests=tests,
        failing=sum(bool(test.problems) for test in tests),
        rules=tuple(_rule(rule) for rule in document.rules) if document else (),
        matrix=tuple(_matrix(document)) if document and not document.is_floor else (),
        texts=_texts(version),
        happenings=tuple(_happening(event) for event in _events(version)),
        replay=replay,
        shadow=shadow_chart(version),
        successor=_successor(version),
        may_write=may_write,
        is_open=version.status in UNPUBLISHED,
    )


def compared_with(version: PolicyVersion) -> PolicyVersion | None:
    """What is, or was, in force before it: what its reader compares it with."""
    if version.published_at is None:
        current = in_force(version.kind)
        return version.based_on if version.status == VersionStatus.DISCARDED else current
    return (
        PolicyVersion.objects.filter(kind=version.kind, published_at__lt=version.published_at)
        .order_by("-published_at")
        .first()
    )


def _rule(rule: Rule) -> RuleRow:
    says = [shown(rule.effect)]
    if rule.tier:
        says.append(f"tier {rule.tier} or higher")
    if rule.requirements:
        says.append(f"asks {requirements(rule.requirements)}")
    if rule.adds:
        says.append(f"also asks {requirements(rule.adds)}")
    if rule.standing:
        instead = ", ".join(rule.standing.instead_of)
        last_day = date_format(date.fromisoformat(rule.standing.until))
        says.append(f"standing approval until {last_day}, instead of {instead}")
    if rule.categories:
        says.append(", ".join(rule.categories))
    return RuleRow(rule, tuple(says))


def _matrix(document: Document) -> list[TierRow]:
    tiers = [_row(tier, "", cell) for tier, cell in enumerate(document.matrix.tiers)]
    special = [
        _row(one.tier, one.action_type, document.matrix.cell(one.tier, one.action_type))
        for one in document.matrix.overrides
    ]
    return sorted([*tiers, *special], key=lambda row: (row.tier, row.action_type))


_ASKS = {
    "reason_required": "with a written reason",
    "step_up": "with a fresh proof of identity",
    "always_people": "never by itself",
    "sign_off": "signed off afterwards",
}


def _row(tier: int, action_type: str, cell: Cell) -> TierRow:
    cell = guarded(cell, tier)
    return TierRow(
        tier=tier,
        action_type=action_type,
        who=requirements(cell.requirements),
        evidence=", ".join(map(str, cell.evidence)),
        decide_by=span(cell.deadlines.decide_by),
        execute_by=span(cell.deadlines.execute_by),
        asks=(
            *(sentence for name, sentence in _ASKS.items() if getattr(cell, name)),
            *(
                [f"can be taken back for {span(timedelta(seconds=cell.recall_seconds))}"]
                if cell.recall_seconds
                else []
            ),
        ),
        window=cell.window,
        operating_model=cell.operating_model,
        pattern=cell.pattern,
    )


def span(length: timedelta) -> str:
    """A length of time in the largest unit that has no rest: "8 hours"."""
    seconds = int(length.total_seconds())
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}{'' if seconds == unit else 's'}"
    raise AssertionError("every whole second is a number of seconds")


def _texts(version: PolicyVersion) -> tuple[Text, ...]:
    """Newest first; each against the text before it."""
    edits = list(version.edits.select_related("editor"))
    texts = []
    earlier = version.based_on.document if version.based_on else ""
    for edit in edits:
        changes = _difference(earlier, edit.document)
        texts.append(Text(edit, edit is edits[-1], changes))
        earlier = edit.document
    return tuple(reversed(texts))


def _difference(before: str, after: str) -> tuple[tuple[str, str], ...]:
    """Lines of a unified diff as (mark, text); the mark is one of "+", "-", "@" and " "."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return tuple((line[:1], line) for line in lines if not line.startswith(("---", "+++")))


def _events(version: PolicyVersion) -> list[AuditEvent]:
    return list(events_of(version).order_by("-seq")[:_MOST_EVENTS])


def _happening(event: AuditEvent) -> Happening:
    try:
        data = json.loads(event.data)
    except ValueError:
        data = {}
    reason = data.get("reason", "") if isinstance(data, dict) else ""
    return Happening(event.at, describe(event), str(reason))


def _successor(version: PolicyVersion) -> PolicyVersion | None:
    if version.retired_at is None:
        return None
    return PolicyVersion.objects.filter(kind=version.kind, published_at=version.retired_at).first()


_REPAIRS = ("tests_fail", "lint_errors", "invalid_document", "digest_mismatch")
_REPLAYS = ("replay_missing", "outdated")


@dataclass(frozen=True, slots=True)
class Step:
    """The one thing to do next: a sentence, and the action that does it, when this reader may."""

    title: str
    text: str
    action: str = ""  # "edit", "replay", "propose", "publish", "roll_back"; "" for none
    button: str = ""
    tone: str = "info"


def next_step(
    version: PolicyVersion, *, viewer: User, may_write: bool, replay: ReplayPanel | None
) -> Step:
    status = VersionStatus(version.status)
    if status == VersionStatus.PUBLISHED:
        return Step(
            "In force",
            "Every new request is evaluated by it. It is retired when its successor is published; "
            "requests it evaluated keep it.",
            tone="good",
        )
    if status == VersionStatus.RETIRED:
        said = "Its successor retired it; requests it evaluated keep it."
        if not may_write:
            return Step("Retired", said)
        return Step(
            "Retired",
            f"{said} Rolling back proposes this text again as a new version, which somebody else "
            "publishes.",
            "roll_back",
            "Roll back to this text",
        )
    if status == VersionStatus.DISCARDED:
        return Step("Discarded", "It was given up and goes nowhere; its words stay readable.")
    return _open_step(version, viewer, may_write, replay)


def _open_step(
    version: PolicyVersion, viewer: User, may_write: bool, replay: ReplayPanel | None
) -> Step:
    is_draft = version.status == VersionStatus.DRAFT
    title = "Draft" if is_draft else "Waiting for publication"
    if not may_write:
        if version.kind == VersionKind.FLOOR:
            return Step(title, "Security writes and publishes the floor.")
        return Step(title, "Risk owners and ops admins write and publish policy.")
    own = None if is_draft else involvement_in(version, viewer)
    unmet = why_not_request(version) if is_draft else unready(version)
    if unmet is not None and unmet.code in _REPAIRS:
        action, button = ("edit", "Edit the draft") if is_draft else ("", "")
        return Step("Something to put right", unmet.message, action, button, "loud")
    last = f" {own.message}" if own else ""
    if unmet is not None and unmet.code in _REPLAYS:
        if replay and replay.is_running and replay.is_of_this_text:
            said = "It shows what would have changed for past requests."
            return Step("The replay runs", f"{said}{last}")
        said = f"{unmet.message}{last}"
        return Step("Replay it first", said, "replay", "Replay over past requests", "warn")
    if is_draft:
        return Step(
            "Ready to be proposed",
            "Its tests pass and its replay is there. Ask a colleague to publish it; from then on "
            "its words stay.",
            "propose",
            "Ask for publication",
        )
    if own is not None:
        return Step(title, own.message)
    return Step(
        "Yours to decide",
        "From then on every new request is evaluated by it. It never changes again.",
        "publish",
        f"Publish {version.label}",
    )
