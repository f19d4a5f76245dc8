"""Messages that wait to be sent: the row is the outbox."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from approvals.models.request import ActionRequest
from approvals.models.triggers import FiredTrigger


class Notice(models.Model):
    """One mail to one person about one request or fired trigger: a link, never the content."""

    request = models.ForeignKey(
        ActionRequest, on_delete=models.PROTECT, null=True, blank=True, related_name="notices"
    )
    fired = models.ForeignKey(
        FiredTrigger,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="notices",
    )
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="notices"
    )
    subject = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(request=None, fired__isnull=False)
                | models.Q(request__isnull=False, fired=None),
                name="approvals_notice_about_one",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_attempt_at"],
                name="approvals_notice_waiting",
                condition=models.Q(sent_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.subject
