"""Messages that wait to be sent: the row is the outbox."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from approvals.models.request import ActionRequest


class Notice(models.Model):
    """One mail to one person about one request: a link, never the content."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="notices")
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
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_attempt_at"],
                name="approvals_notice_waiting",
                condition=models.Q(sent_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.subject
