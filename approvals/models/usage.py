"""Cumulative counters: what was proposed per target, customer, agent and owner, hour by hour."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from approvals.models.request import ActionRequest
from audit.lib.dates import format_moment


class VelocityScope(models.TextChoices):
    """What is counted together."""

    TARGET = "target"  # one object, by action type
    CUSTOMER = "customer"  # whoever receives it, across targets, agents and keys
    AGENT = "agent"
    OWNER = "owner"  # all agents of one owner together


class VelocityCounter(models.Model):
    """One thing counted. Its row is locked while a request is evaluated on its sums."""

    scope = models.CharField(max_length=8, choices=VelocityScope.choices)
    key = models.CharField(max_length=64, help_text="SHA-256 of what is counted.")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["scope", "key"], name="approvals_counter_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key[:12]}"


class VelocityBucket(models.Model):
    """One hour of one counter. What ended without effect is taken out of its hour again."""

    counter = models.ForeignKey(VelocityCounter, on_delete=models.PROTECT, related_name="buckets")
    hour = models.DateTimeField()
    count = models.IntegerField(default=0)
    sum_base = models.BigIntegerField(default=0, help_text="Minor units of the base currency.")
    allowed_base = models.BigIntegerField(
        default=0, help_text="Of that, what policy allowed without a person."
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["counter", "hour"], name="approvals_bucket_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.counter} {format_moment(self.hour)}"


class CountedRequest(models.Model):
    """What one request added to which counters, so that exactly that can be taken out again."""

    request = models.OneToOneField(
        ActionRequest, on_delete=models.PROTECT, related_name="counted", primary_key=True
    )
    counters = models.JSONField(default=list, help_text="Ids of the counters.")
    number = models.BigIntegerField(
        null=True,
        db_index=True,
        help_text="Higher than all before it; empty: older than these numbers.",
    )
    hour = models.DateTimeField()
    amount_base = models.BigIntegerField(default=0)
    allowed = models.BooleanField(default=False)
    taken_out_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"counted {self.request_id}"
