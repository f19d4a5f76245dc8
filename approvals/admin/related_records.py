"""What belongs to requests, as read-only lists: what was known, decided, unlocked and done."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import display

from approvals.admin.scoped import YES_OR_NO, ScopedRecords, link_to_record, money, pretty
from approvals.choices import (
    AttemptOutcome,
    DecisionVerdict,
    EscalationStep,
    ExecutionState,
    Origin,
)
from approvals.inspection import reveal
from approvals.models import (
    Attempt,
    Compensation,
    Decision,
    Escalation,
    EvidenceItem,
    Execution,
    Grant,
    Notice,
    PolicyDecision,
    Requirement,
    Verification,
)
from approvals.selectors.evidence_view import stored_json
from audit.lib.admin_filters import between, equal_to, one_of
from audit.lib.canonical import canonical
from policies.services.traces import rules_in
from policies.teams import team_choices
from policies.verdicts import HIGHEST_TIER, Verdict


@admin.register(Decision)
class DecisionAdmin(ScopedRecords):
    list_display = (
        "created_at", "decider", "group", "verdict_badge", "request_link", "amount", "reason_code",
    )  # fmt: skip
    list_select_related = ("request", "decider")
    list_filter = (
        one_of("verdict", "verdict", lambda: list(DecisionVerdict.choices)),
        one_of("role", "group", team_choices),
        equal_to("person", "person"),
        *between("created_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "version", "decider", "person", "group", "verdict", "reason_code",
        "comment", "pretty_edits", "amount", "limit", "digest", "opened_at", "created_at",
        "shown_digest", "what_they_saw",
    )  # fmt: skip

    @display(  # type: ignore[untyped-decorator]
        description="verdict",
        label=dict.fromkeys(DecisionVerdict.values, "")
        | {"approve": "success", "reject": "danger", "approve_with_edits": "success"},
    )
    def verdict_badge(self, decision: Decision) -> tuple[str, str]:
        return decision.verdict, decision.get_verdict_display()

    @display(description="amount")  # type: ignore[untyped-decorator]
    def amount(self, decision: Decision) -> str:
        return money(decision.amount_minor, decision.currency)

    @display(description="limit relied on")  # type: ignore[untyped-decorator]
    def limit(self, decision: Decision) -> str:
        return money(decision.limit_minor, decision.currency)

    @display(description="edits")  # type: ignore[untyped-decorator]
    def pretty_edits(self, decision: Decision) -> SafeString | str:
        return pretty(decision.edits)

    @display(description="digest of what they saw")  # type: ignore[untyped-decorator]
    def shown_digest(self, decision: Decision) -> str:
        return decision.shown_id

    @display(description="what they saw")  # type: ignore[untyped-decorator]
    def what_they_saw(self, decision: Decision) -> SafeString | str:
        """The page's content, with the JSON inside it laid out too."""
        try:
            body: dict[str, Any] = json.loads(decision.shown.body)
        except ValueError:
            return pretty(decision.shown.body)
        for key in ("action", "before", "after"):
            with suppress(ValueError, TypeError):
                body[key] = json.loads(body.get(key, ""))
        return pretty(json.dumps(body))


@admin.register(Requirement)
class RequirementAdmin(ScopedRecords):
    list_display = (
        "request_link",
        "version",
        "stage",
        "quorum",
        "group",
        "escalated_to",
        "is_open",
    )
    list_display_links = ("version",)
    list_filter = (
        one_of("role", "group", team_choices),
        one_of("open", "is_open", lambda: YES_OR_NO),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "version", "stage", "quorum", "group", "within_limit", "escalates_to",
        "escalated_to", "is_open",
    )  # fmt: skip


@admin.register(PolicyDecision)
class PolicyDecisionAdmin(ScopedRecords):
    list_display = ("created_at", "request_link", "purpose", "verdict", "tier", "policy_version")
    list_select_related = ("request", "policy_version")
    list_filter = (
        one_of("verdict", "verdict", lambda: [(v.value, v.value) for v in Verdict]),
        one_of("tier", "tier", lambda: [(str(n), str(n)) for n in range(HIGHEST_TIER + 1)]),
        one_of("purpose", "purpose", lambda: list(PolicyDecision.Purpose.choices)),
        equal_to("policy version", "policy_version__label", parameter="policy"),
        *between("created_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "version", "purpose", "policy_version", "floor", "verdict", "tier",
        "reason_required", "window", "evidence_required", "decide_within", "execute_within",
        "created_at", "pretty_trace", "pretty_facts",
    )  # fmt: skip

    @display(description="trace")  # type: ignore[untyped-decorator]
    def pretty_trace(self, decision: PolicyDecision) -> SafeString | str:
        trace = stored_json(decision.trace)
        if not trace:
            return pretty(decision.trace)
        rules = rules_in(trace, decision.policy_version, decision.floor)
        return pretty(canonical({**trace, "rules": rules}))

    @display(description="facts")  # type: ignore[untyped-decorator]
    def pretty_facts(self, decision: PolicyDecision) -> SafeString | str:
        return pretty(decision.facts)


@admin.register(EvidenceItem)
class EvidenceItemAdmin(ScopedRecords):
    list_display = ("created_at", "request_link", "origin", "kind", "shown_title", "shown_flags")
    list_filter = (
        one_of("origin", "origin", lambda: list(Origin.choices)),
        equal_to("kind", "kind"),
        *between("created_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "version", "position", "origin", "kind", "shown_title", "shown_uri",
        "authority", "retrieved_at", "shown_flags", "shown_body", "sha256", "created_at",
    )  # fmt: skip

    @display(description="title")  # type: ignore[untyped-decorator]
    def shown_title(self, item: EvidenceItem) -> str:
        return reveal(item.title)

    @display(description="address, as text")  # type: ignore[untyped-decorator]
    def shown_uri(self, item: EvidenceItem) -> str:
        return reveal(item.uri)

    @display(description="flags")  # type: ignore[untyped-decorator]
    def shown_flags(self, item: EvidenceItem) -> str:
        return ", ".join(str(flag) for flag in item.flags)

    @display(description="content")  # type: ignore[untyped-decorator]
    def shown_body(self, item: EvidenceItem) -> SafeString | str:
        return pretty(item.body)


@admin.register(Escalation)
class EscalationAdmin(ScopedRecords):
    list_display = ("created_at", "request_link", "step", "from_group", "to_group", "by")
    list_select_related = ("request", "by")
    list_filter = (
        one_of("step", "step", lambda: list(EscalationStep.choices)),
        one_of("escalated to", "to_group", team_choices),
        *between("created_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "version", "round", "step", "from_group", "to_group", "by", "reason",
        "due_at", "created_at",
    )  # fmt: skip


@admin.register(Notice)
class NoticeAdmin(ScopedRecords):
    list_display = ("created_at", "recipient", "subject", "sent_at", "attempts", "problem")
    list_select_related = ("recipient",)
    list_filter = (equal_to("recipient", "recipient__username", parameter="recipient"),
                   *between("created_at"))  # fmt: skip
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "recipient", "subject", "created_at", "sent_at", "attempts",
        "next_attempt_at", "problem",
    )  # fmt: skip


@admin.register(Grant)
class GrantAdmin(ScopedRecords):
    list_display = (
        "created_at", "request_link", "granted_by", "ceiling", "expires_at", "consumed_at",
        "revoked_at",
    )  # fmt: skip
    list_filter = between("created_at")
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "version", "action_type", "target", "target_version", "digest", "ceiling",
        "granted_by", "window", "expires_at", "needs_start", "started_by", "consumed_at",
        "revoked_at", "created_at",
    )  # fmt: skip

    @display(description="granted by")  # type: ignore[untyped-decorator]
    def granted_by(self, grant: Grant) -> str:
        return ", ".join(grant.approvers) or "policy"

    @display(description="ceiling")  # type: ignore[untyped-decorator]
    def ceiling(self, grant: Grant) -> str:
        return money(grant.ceiling_minor, grant.currency)


class ReadOnlyRows(TabularInline):  # type: ignore[misc]
    """Rows shown inside another record: nobody adds, changes or removes one."""

    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class AttemptRows(ReadOnlyRows):
    model = Attempt
    fields = readonly_fields = (
        "fence", "outcome", "detail", "late_result", "started_at", "finished_at",
    )  # fmt: skip


class VerificationRows(ReadOnlyRows):
    model = Verification
    fields = readonly_fields = ("created_at", "matches", "differences", "observed")


@admin.register(Execution)
class ExecutionAdmin(ScopedRecords):
    list_display = (
        "started_at", "request_link", "state_badge", "receipt_reference", "problem", "finished_at",
    )  # fmt: skip
    list_filter = (
        one_of("state", "state", lambda: list(ExecutionState.choices)),
        equal_to("receipt", "receipt_reference", parameter="receipt"),
        *between("started_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "grant", "state", "started_at", "finished_at", "receipt_reference",
        "pretty_receipt", "problem", "provider_key", "fence", "lease_until", "read_backs",
        "read_back_at",
    )  # fmt: skip
    inlines = (AttemptRows, VerificationRows)

    @display(  # type: ignore[untyped-decorator]
        description="state",
        label={"running": "info", "succeeded": "success", "failed": "danger", "unknown": "danger"},
    )
    def state_badge(self, execution: Execution) -> tuple[str, str]:
        return execution.state, execution.get_state_display()

    @display(description="receipt in full")  # type: ignore[untyped-decorator]
    def pretty_receipt(self, execution: Execution) -> SafeString | str:
        return pretty(execution.receipt)


@admin.register(Attempt)
class AttemptAdmin(ScopedRecords):
    request_path = "execution__request"
    list_display = ("started_at", "request_link", "fence", "outcome", "finished_at")
    list_select_related = ("execution__request",)
    list_filter = (
        one_of("outcome", "outcome", lambda: list(AttemptOutcome.choices)),
        *between("started_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "fence", "outcome", "detail", "late_result", "started_at", "finished_at",
    )  # fmt: skip


@admin.register(Verification)
class VerificationAdmin(ScopedRecords):
    request_path = "execution__request"
    list_display = ("created_at", "request_link", "matches", "what_differs")
    list_select_related = ("execution__request",)
    # not `matches`: a field of that name takes the place of the form's own method in a browser
    list_filter = (
        one_of("equal", "matches", lambda: YES_OR_NO, parameter="equal"),
        *between("created_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = (
        "request_link", "created_at", "matches", "what_differs", "pretty_observed",
    )  # fmt: skip

    @display(description="differences")  # type: ignore[untyped-decorator]
    def what_differs(self, verification: Verification) -> str:
        return reveal("; ".join(str(d) for d in verification.differences))

    @display(description="observed")  # type: ignore[untyped-decorator]
    def pretty_observed(self, verification: Verification) -> SafeString | str:
        return pretty(verification.observed)


@admin.register(Compensation)
class CompensationAdmin(ScopedRecords):
    request_path = "original"
    list_display = ("created_at", "request_link", "undo_link", "is_active")
    list_select_related: ClassVar[Any] = ("original", "undo")
    list_filter = (
        one_of("open or done", "is_active", lambda: YES_OR_NO),
        *between("created_at"),
    )
    list_filter_submit = True
    fields = readonly_fields = ("request_link", "undo_link", "is_active", "created_at")

    @display(description="undone by")  # type: ignore[untyped-decorator]
    def undo_link(self, compensation: Compensation) -> SafeString:
        return link_to_record(compensation.undo)
