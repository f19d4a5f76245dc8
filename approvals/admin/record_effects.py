"""What approvals unlocked and what came of it, as read-only lists."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.decorators import display

from approvals.admin.scoped import YES_OR_NO, ScopedRecords, link_to_record, money, pretty
from approvals.choices import (
    AttemptOutcome,
    ExecutionState,
)
from approvals.inspection import reveal
from approvals.models import (
    Attempt,
    Compensation,
    Execution,
    Grant,
    Verification,
)
from audit.filters import between, equal_to, one_of


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
