"""The evidence pack: what was known about a request, from where, and kept unchanged."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from approvals.choices import Origin
from approvals.models.request import ActionRequest


class EvidenceItem(models.Model):
    """One source. The digest covers everything a reviewer is shown of it."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="evidence")
    version = models.PositiveSmallIntegerField()
    position = models.PositiveSmallIntegerField()
    origin = models.CharField(max_length=6, choices=Origin.choices)
    kind = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    uri = models.CharField(max_length=500, blank=True)
    authority = models.CharField(max_length=60, blank=True)
    retrieved_at = models.DateTimeField(null=True, blank=True)
    body = models.TextField(help_text="Text (agent, person) or canonical JSON (system).")
    flags = models.JSONField(
        default=list, help_text="What the detectors found in text somebody wrote."
    )
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["position"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["request", "version", "position"], name="approvals_evidence_position_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class TargetReading(models.Model):
    """The target as the system read it for one version: before, after, or why there is neither."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="readings")
    version = models.PositiveSmallIntegerField()
    before = models.TextField(blank=True, help_text="Canonical JSON.")
    after = models.TextField(blank=True, help_text="Canonical JSON.")
    target_version = models.CharField(max_length=64, blank=True)
    guard = models.CharField(
        max_length=300, blank=True, help_text="The target's own mark of that version."
    )
    connection = models.CharField(
        max_length=60, blank=True, help_text="Which one it was read through, as it was then."
    )
    unavailable = models.CharField(max_length=300, blank=True)
    sentence = models.CharField(
        max_length=400,
        blank=True,
        db_default="",
        help_text="The effect, with names that were read.",
    )
    payee = models.CharField(
        max_length=200, blank=True, db_default="", help_text="Who gets it, by name."
    )
    read_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]

    def __str__(self) -> str:
        return f"reading of {self.request_id}"
