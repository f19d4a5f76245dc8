"""Break-glass: approvals by one person alone in an emergency, each with its review."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from approvals.models.decision import Decision
from approvals.models.request import ActionRequest


class BreakGlass(models.Model):
    """One emergency approval by one person, and the review it must get afterwards."""

    request = models.ForeignKey(
        ActionRequest, on_delete=models.PROTECT, related_name="broken_glass"
    )
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="broke_glass")
    person = models.CharField(max_length=64)
    reason = models.TextField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="Carried out by then, or not at all.")
    review_due_at = models.DateTimeField()
    overdue_noted_at = models.DateTimeField(null=True, blank=True)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    was_justified = models.BooleanField(null=True, blank=True)
    review_comment = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        verbose_name = "break-glass approval"
        verbose_name_plural = "break-glass approvals"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["review_due_at"],
                name="approvals_glass_unreviewed",
                condition=models.Q(reviewed_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person} on {self.request}"
