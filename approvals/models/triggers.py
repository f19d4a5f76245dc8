"""Triggers that fired, and the complaints some of them count."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from approvals.models.agents import Agent
from approvals.models.pause import Pause
from approvals.models.request import ActionRequest
from audit.models import Chained
from policies.triggers import Consequence, Per, Watch


def _choices(kind: type[Watch | Per | Consequence]) -> list[tuple[str, str]]:
    return [(one.value, one.value) for one in kind]


class FiredTrigger(Chained):
    """What a trigger of the policy found too much of, and what was done about it, until it ends.

    While it is in force nothing of what it is about fires it again, and once ended nothing that
    happened before counts any more: a cause is answered once.
    """

    trigger = models.CharField(max_length=70, help_text="Its id in the policy.")
    policy = models.CharField(max_length=60, help_text="The version that said so.")
    rule_owner = models.CharField(max_length=60, help_text="Who answers for it in the policy.")
    reason = models.CharField(max_length=500)
    watch = models.CharField(max_length=20, choices=_choices(Watch))
    per = models.CharField(max_length=11, choices=_choices(Per))
    key = models.CharField(max_length=60, help_text="The agent, action type or connection.")
    then = models.CharField(max_length=6, choices=_choices(Consequence))
    at_least = models.BigIntegerField(help_text="From so many on, or so many minor units.")
    measured = models.BigIntegerField(help_text="So much there was.")
    within_seconds = models.PositiveIntegerField(help_text="Of the window.")
    counted_since = models.DateTimeField()
    causes = models.JSONField(default=list, help_text="Ids of the latest requests counted.")
    level_before = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Of a demoted agent."
    )
    pause = models.ForeignKey(
        Pause, on_delete=models.PROTECT, null=True, blank=True, related_name="fired_triggers"
    )
    fired_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True)
    end_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["trigger", "per", "key"],
                condition=models.Q(ended_at=None),
                name="approvals_trigger_fires_once",
            ),
            models.CheckConstraint(
                condition=models.Q(measured__gte=models.F("at_least")),
                name="approvals_trigger_was_reached",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["per", "key"],
                name="approvals_trigger_in_force",
                condition=models.Q(ended_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trigger} for {self.per} {self.key}"

    @property
    def is_in_force(self) -> bool:
        return self.ended_at is None


class Complaint(models.Model):
    """Somebody complained about what was done; a system that hears of it reported so. Stays."""

    request = models.ForeignKey(ActionRequest, on_delete=models.PROTECT, related_name="complaints")
    reported_by = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="complaints")
    reference = models.CharField(max_length=100, help_text="Its number where it was made.")
    text = models.CharField(max_length=2_000, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["reported_by", "reference"], name="approvals_complaint_once"
            ),
        ]

    def __str__(self) -> str:
        return self.reference
