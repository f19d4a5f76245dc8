"""What is to be done, in every version there was of it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from approvals.models.request import ActionRequest
from audit.lib.canonical import digest


class RequestContent(models.Model):
    """What is to be done, by version: canonical bytes once, as text. Rows never change."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="contents")
    version = models.PositiveSmallIntegerField()
    action = models.TextField(help_text="Canonical JSON of type, type version and params.")
    digest = models.CharField(max_length=64)
    proposal = models.TextField(
        blank=True, help_text="Canonical JSON of the whole body as proposed; version 1 only."
    )
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    supplied_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who supplied the evidence that made this version.",
    )
    signed_with = models.CharField(
        max_length=43, blank=True, default="", help_text="Id of the key its agent signed with."
    )
    signed_body = models.TextField(
        blank=True, default="", help_text="The signed message as it was sent; version 1 only."
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["request", "version"], name="approvals_content_version_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request_id} v{self.version}"

    @property
    def is_intact(self) -> bool:
        """The stored bytes still have the digest they were stored with."""
        return digest(self.action) == self.digest
