"""Versions of the policy document; a published one never changes."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from audit.models import Chained


class VersionStatus(models.TextChoices):
    """Where a version is in its one-way life."""

    DRAFT = "draft", "draft"
    PROPOSED = "proposed", "publication requested"
    PUBLISHED = "published", "published"
    RETIRED = "retired", "retired"
    DISCARDED = "discarded", "discarded"


class VersionKind(models.TextChoices):
    """Whose document it is, and what it is for."""

    ORDINARY = "ordinary", "policy"  # risk owners'
    FLOOR = "floor", "floor"  # security's, evaluated with every version of the policy


class PolicyVersion(Chained):
    """One policy document, exactly as written. At most one of each kind is published at any time.

    A draft is edited until its publication is requested; whoever wrote in it (`PolicyEdit`) does
    not publish it. Triggers keep document, digest, label and author as they were once the version
    leaves draft, and keep every row: decisions refer to it.
    """

    kind = models.CharField(
        max_length=8,
        choices=VersionKind.choices,
        default=VersionKind.ORDINARY,
        db_default=VersionKind.ORDINARY,
    )
    label = models.CharField(max_length=20, unique=True, help_text='Such as "2026-11-20.1".')
    document = models.TextField(help_text="YAML, exactly as written.")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the document, in hex.")
    status = models.CharField(
        max_length=9, choices=VersionStatus.choices, default=VersionStatus.DRAFT
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="drafted_policies",
        help_text="Empty when the system installed it.",
    )
    publisher = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="published_policies",
    )
    reason = models.TextField(help_text="Why this version exists.")
    based_on = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="The version in force when it was drafted.",
    )
    restores = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="The earlier version it rolls back to.",
    )
    suggested_from = models.CharField(
        max_length=36,
        blank=True,
        default="",
        db_default="",
        help_text="The record a reviewer suggested it from; empty: a writer of policy drafted it.",
    )
    shadowing_since = models.DateTimeField(
        null=True, help_text="It runs beside the version in force since then; empty: it does not."
    )
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "policy version"
        constraints = [
            models.UniqueConstraint(
                fields=["kind"],
                condition=models.Q(status="published"),
                name="policies_one_published_of_kind",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=VersionKind.values), name="policies_version_kind_known"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=VersionStatus.values),
                name="policies_version_status_known",
            ),
            models.CheckConstraint(
                condition=(
                    models.Q(publisher=None)
                    | models.Q(author=None)
                    | ~models.Q(publisher=models.F("author"))
                ),
                name="policies_version_four_eyes",
            ),
            models.CheckConstraint(
                condition=(
                    models.Q(
                        status__in=["draft", "proposed", "discarded"],
                        published_at=None,
                        publisher=None,
                    )
                    | (
                        models.Q(status__in=["published", "retired"])
                        & models.Q(published_at__isnull=False)
                        & (models.Q(author=None) | models.Q(publisher__isnull=False))
                    )
                ),
                name="policies_version_published_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return self.label


class PolicyEdit(models.Model):
    """One text somebody gave a draft: who, why, and exactly what. Rows never change."""

    version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="edits")
    editor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="policy_edits"
    )
    digest = models.CharField(max_length=64, help_text="SHA-256 of the document, in hex.")
    document = models.TextField(help_text="YAML, exactly as written.")
    reason = models.TextField()
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.editor}: {self.digest[:12]}"
