"""What time did to a request: reminders, escalations, expiry, each once and on record."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from approvals.choices import EscalationStep
from approvals.models.decision import Requirement
from approvals.models.request import ActionRequest


class Escalation(models.Model):
    """One step on a request's clock, or one push upwards. Rows never change."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="escalations")
    version = models.PositiveSmallIntegerField()
    round = models.PositiveSmallIntegerField(
        default=1, help_text="Counts the times the clock was started: answers start it again."
    )
    step = models.CharField(max_length=12, choices=EscalationStep.choices)
    requirement = models.ForeignKey(
        Requirement, on_delete=models.PROTECT, null=True, blank=True, related_name="escalations"
    )
    from_group = models.CharField(max_length=40, blank=True)
    to_group = models.CharField(max_length=40, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(max_length=500, blank=True)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["request", "version", "round", "step", "requirement"],
                name="approvals_escalation_once",
            ),
            models.UniqueConstraint(
                fields=["request", "version", "round", "step"],
                name="approvals_escalation_once_whole",
                condition=models.Q(requirement__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_step_display()} {self.request_id}"
