"""Pauses, and what was looked up while a restored backup stood still."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from approvals.choices import PauseScope, RestoreFinding, State
from approvals.models.request import ActionRequest
from audit.models import Chained


class Pause(Chained):
    """Nothing of its scope is taken, approved or carried out until it is lifted."""

    scope = models.CharField(max_length=11, choices=PauseScope.choices)
    key = models.CharField(
        max_length=60,
        blank=True,
        help_text="The name of what is paused; empty: everything.",
    )
    reason = models.CharField(max_length=300)
    paused_by = models.CharField(max_length=150)
    paused_at = models.DateTimeField()
    lifted_by = models.CharField(max_length=150, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["scope", "key"],
                condition=models.Q(lifted_at=None),
                name="approvals_pause_once",
            ),
            models.CheckConstraint(
                condition=models.Q(scope__in=PauseScope.values)
                & (
                    models.Q(scope__in=("all", "restored"), key="")
                    | (~models.Q(scope__in=("all", "restored")) & ~models.Q(key=""))
                ),
                name="approvals_pause_has_scope",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["scope", "key", "-paused_at"], name="approvals_pause_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.get_scope_display().lower()} {self.key}".strip()


class RestoreCheck(models.Model):
    """What the target last said of one request, while everything was frozen after a restore."""

    pause = models.ForeignKey(Pause, on_delete=models.PROTECT, related_name="checks")
    request = models.ForeignKey(
        ActionRequest, on_delete=models.PROTECT, related_name="restore_checks"
    )
    state_before = models.CharField(max_length=24)
    finding = models.CharField(max_length=7, choices=RestoreFinding.choices)
    detail = models.CharField(max_length=300, blank=True)
    looked_up_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["pause", "request"], name="approvals_restore_check_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_finding_display()}: {self.request_id}"

    @property
    def state_in_backup(self) -> str:
        """How the request stood when it was looked up, as people read it."""
        return State(self.state_before).label
