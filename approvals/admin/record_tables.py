"""The tables at the foot of a record: who must decide, who did, what ran, and the whole trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.html import format_html

from approvals.choices import State
from approvals.inspection import reveal
from approvals.models import ActionRequest, Decision
from approvals.selectors.record import part_of
from audit.lib.dates import format_record_moment
from audit.lib.money import Money
from audit.models import AuditEvent
from audit.selectors import actor_of, describe


@dataclass(frozen=True, slots=True)
class Table:
    """One titled table; `nothing` is what stands there when it is empty."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    nothing: str
    note: str = ""


def tables_of(
    request: ActionRequest, events: Sequence[AuditEvent], decisions: Sequence[Decision]
) -> tuple[Table, ...]:
    """Every table of the record, in the order things happen; `events` are its whole trail."""
    return (
        _requirements(request),
        _decisions(decisions),
        _thread(request),
        _clock(request),
        _grants(request),
        _executions(request),
        _attempts(request),
        _verifications(request),
        _undos(request),
        _history(request),
        _trail(events),
    )


def _requirements(request: ActionRequest) -> Table:
    rows = (
        (
            r.version,
            r.stage,
            f"{r.quorum} of {r.group}",
            "yes" if r.within_limit else "no",
            r.escalated_to or "-",
            "open" if r.is_open else "closed",
        )
        for r in part_of(request, "requirements").order_by("-version", "stage", "id")
    )
    return Table(
        "Requirements",
        ("version", "stage", "who", "within limit", "escalated to", "now"),
        tuple(rows),
        "Nobody had to say yes.",
    )


def _decisions(decisions: Sequence[Decision]) -> Table:
    rows = (
        (
            format_record_moment(d.created_at),
            d.decider.get_username(),
            d.group,
            d.get_verdict_display(),
            d.get_reason_code_display() or "-",
            reveal(d.comment) or "-",
            _money(d.limit_minor, d.currency),
            _seconds(d.created_at - d.opened_at),
            _code(d.digest[:16]),
            _link("approvals_decision", d.pk, "what they saw"),
        )
        for d in decisions
    )
    return Table(
        "Decisions",
        (
            "at",
            "who",
            "as",
            "verdict",
            "reason",
            "comment",
            "limit relied on",
            "page open for",
            "digest",
            "",
        ),
        tuple(rows),
        "Nobody has decided.",
    )


def _thread(request: ActionRequest) -> Table:
    rows = (
        (
            format_record_moment(e.created_at),
            f"{e.get_actor_kind_display()} {e.actor_name}"
            + (", to colleagues" if e.for_people else ""),
            reveal(e.body),
        )
        for e in part_of(request, "thread").order_by("id")
    )
    return Table("Conversation", ("at", "who", "said"), tuple(rows), "None.")


def _clock(request: ActionRequest) -> Table:
    rows = (
        (
            format_record_moment(e.created_at),
            e.get_step_display(),
            e.from_group or "-",
            e.to_group or "-",
            e.by.get_username() if e.by else "the clock",
            reveal(e.reason) or "-",
        )
        for e in part_of(request, "escalations").select_related("by").order_by("id")
    )
    return Table(
        "Reminders and escalations",
        ("at", "step", "from", "to", "by", "reason"),
        tuple(rows),
        "None.",
    )


def _grants(request: ActionRequest) -> Table:
    rows = (
        (
            format_record_moment(g.created_at),
            g.version,
            ", ".join(g.approvers) or "policy",
            _money(g.ceiling_minor, g.currency),
            format_record_moment(g.expires_at),
            format_record_moment(g.consumed_at) or "-",
            format_record_moment(g.revoked_at) or "-",
            _code(g.digest[:16]),
        )
        for g in part_of(request, "grants").order_by("id")
    )
    return Table(
        "Grants",
        ("issued", "version", "by", "ceiling", "until", "used", "revoked", "digest"),
        tuple(rows),
        "None was issued.",
    )


def _executions(request: ActionRequest) -> Table:
    rows = (
        (
            format_record_moment(e.started_at),
            e.get_state_display(),
            e.receipt_reference or "-",
            reveal(e.problem) or "-",
            format_record_moment(e.finished_at) or "-",
            _code(e.provider_key[:16]),
            _link("approvals_execution", e.pk, "details"),
        )
        for e in part_of(request, "executions").order_by("id")
    )
    return Table(
        "Executions",
        ("began", "state", "receipt", "problem", "ended", "idempotency key", ""),
        tuple(rows),
        "Nothing was carried out.",
    )


def _attempts(request: ActionRequest) -> Table:
    rows = (
        (
            a.fence,
            format_record_moment(a.started_at),
            a.get_outcome_display(),
            reveal(a.detail) or "-",
            format_record_moment(a.finished_at) or "-",
            reveal(a.late_result) or "-",
        )
        for a in part_of(request, "attempts").order_by("id")
    )
    return Table(
        "Attempts",
        ("attempt", "began", "outcome", "detail", "ended", "came back late"),
        tuple(rows),
        "None.",
    )


def _verifications(request: ActionRequest) -> Table:
    rows = (
        (
            format_record_moment(v.created_at),
            "equal" if v.matches else "different",
            "; ".join(str(d) for d in v.differences) or "-",
            _code(reveal(v.observed)),
        )
        for v in part_of(request, "verifications").order_by("id")
    )
    return Table(
        "Read-backs", ("at", "result", "differences", "observed"), tuple(rows), "None was made."
    )


def _undos(request: ActionRequest) -> Table:
    rows = (
        (
            format_record_moment(c.created_at),
            _link("approvals_actionrequest", c.undo_id, str(c.undo)),
            State(c.undo.state).label,
            "counts" if c.is_active else "came to nothing",
        )
        for c in part_of(request, "compensations").select_related("undo").order_by("id")
    )
    return Table("Undo", ("proposed", "request", "state", ""), tuple(rows), "Nobody proposed one.")


def _history(request: ActionRequest) -> Table:
    rows = (
        (
            format_record_moment(h.history_date),
            State(h.state).label if h.state in State.values else h.state,
            h.version,
            "-" if h.risk_tier is None else h.risk_tier,
            h.history_change_reason or "-",
        )
        for h in request.history.order_by("history_id")
    )
    return Table(
        "Table history",
        ("at", "state", "version", "tier", "who and why"),
        tuple(rows),
        "None.",
        note="Ordinary rows, kept for reading. The proof is the trail below.",
    )


def _trail(events: Sequence[AuditEvent]) -> Table:
    rows = (
        (
            e.seq,
            format_record_moment(e.at),
            describe(e),
            actor_of(e),
            e.state or "-",
            _code(e.mac[:16]),
        )
        for e in events
    )
    return Table(
        "Trail",
        ("no.", "at", "what happened", "actor", "state then", "MAC"),
        tuple(rows),
        "Nothing is on record: that cannot be, tell an auditor.",
    )


def _money(minor: int | None, currency: str) -> str:
    return "-" if minor is None else str(Money(minor, currency))


def _seconds(length: Any) -> str:
    return f"{int(length.total_seconds())} s"


def _code(text: str) -> Any:
    return format_html("<code>{}</code>", text)


def _link(page: str, pk: object, text: str) -> Any:
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>',
        reverse(f"admin:{page}_change", args=[pk]),
        text,
    )
