"""Carrying out one grant: attempts, receipts, read-backs and undoing."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models

from approvals.choices import AttemptOutcome, ExecutionState
from approvals.models.decision import Grant
from approvals.models.request import ActionRequest
from audit.lib.canonical import canonical
from connectors.base import Receipt


class Execution(models.Model):
    """Carrying out one grant. The fence says whose result counts; the lease says until when."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="executions")
    grant = models.OneToOneField(Grant, on_delete=models.PROTECT, related_name="execution")
    state = models.CharField(max_length=9, choices=ExecutionState.choices)
    provider_key = models.CharField(max_length=64, unique=True)
    guard = models.CharField(
        max_length=300, blank=True, help_text="The target's own mark of the approved version."
    )
    connection = models.CharField(
        max_length=60, blank=True, help_text="Which one its calls go through."
    )
    redeemer = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="What the agent that carries it out redeemed the grant with; empty: a worker.",
    )
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True, help_text="Database clock.")
    receipt_reference = models.CharField(max_length=200, blank=True)
    receipt = models.TextField(blank=True, help_text="Canonical JSON.")
    problem = models.CharField(max_length=500, blank=True)
    read_backs = models.PositiveSmallIntegerField(default=0, help_text="Failed reads so far.")
    read_back_at = models.DateTimeField(null=True, blank=True, help_text="Not before then.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["lease_until"],
                name="approvals_execution_leases",
                condition=models.Q(state="running"),
            ),
            models.Index(
                fields=["finished_at"],
                name="approvals_execution_done",
                condition=models.Q(state="succeeded"),
            ),
        ]

    def __str__(self) -> str:
        return f"execution of {self.request_id}"

    def keep_receipt(self, receipt: Receipt, *, at: datetime) -> None:
        """Take over the outside system's own reference. The caller saves."""
        self.state = ExecutionState.SUCCEEDED
        self.lease_until = None
        self.receipt_reference = receipt.reference
        self.receipt = canonical(
            {
                "reference": receipt.reference,
                "summary": receipt.summary,
                "detail": receipt.detail,
                "pre_image": receipt.pre_image,
            }
        )
        self.finished_at = at

    keep_receipt.alters_data = True  # type: ignore[attr-defined]  # no template calls it


class Attempt(models.Model):
    """One call to the outside, by one worker, under one fence."""

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="attempts")
    fence = models.PositiveIntegerField()
    outcome = models.CharField(max_length=13, choices=AttemptOutcome.choices)
    detail = models.TextField(blank=True)
    late_result = models.TextField(
        blank=True, help_text="What came back after the lease: evidence, never a result."
    )
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["fence"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["execution", "fence"], name="approvals_attempt_fence_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.fence}"


class Verification(models.Model):
    """One independent read-back. Rows never change."""

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="verifications")
    matches = models.BooleanField()
    observed = models.TextField(help_text="Canonical JSON.")
    differences = models.JSONField(default=list)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]

    def __str__(self) -> str:
        return "matches" if self.matches else "differs"


class Compensation(models.Model):
    """The link between a done effect and the request that would undo it."""

    original = models.ForeignKey(
        ActionRequest, on_delete=models.PROTECT, related_name="compensations"
    )
    undo = models.OneToOneField(
        ActionRequest, on_delete=models.PROTECT, related_name="compensation_of"
    )
    is_active = models.BooleanField(default=True, help_text="Open or done; a refused undo is not.")
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["original"],
                name="approvals_compensation_once",
                condition=models.Q(is_active=True),
            ),
        ]

    def __str__(self) -> str:
        return f"undo of {self.original_id}"
