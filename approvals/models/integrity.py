"""Stored content and columns that were changed by nobody here."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from approvals.models.request import ActionRequest


class IntegrityIncident(models.Model):
    """One change of a request's stored content or columns that nobody made here. Never changes.

    Found again unchanged it is the same incident; another change is another one.
    """

    class FoundBy(models.TextChoices):
        REVIEW = "review", "somebody who opened the review page"
        DECISION = "decision", "somebody who was about to decide"
        EXECUTION = "execution", "the worker that was about to carry it out"

    request = models.ForeignKey(
        ActionRequest, on_delete=models.PROTECT, related_name="integrity_incidents"
    )
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of what was found.")
    problem = models.CharField(max_length=500)
    found_by = models.CharField(max_length=9, choices=FoundBy.choices)
    found_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["request", "fingerprint"], name="approvals_integrity_incident_once"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["found_at"], name="approvals_integrity_found"),
        ]

    def __str__(self) -> str:
        return f"{self.request_id}: {self.problem}"
