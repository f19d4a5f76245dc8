"""Webhooks: the addresses an agent is told at, and what it is to be told there."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from approvals.models.agents import Agent
from approvals.models.request import ActionRequest


class WebhookEndpoint(models.Model):
    """One address of an agent's. Its secrets are kept encrypted; a removed one stays disabled."""

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="webhook_endpoints")
    url = models.URLField(max_length=500)
    secret = models.TextField(help_text="Encrypted.")
    old_secret = models.TextField(blank=True, help_text="Signs beside the new one; encrypted.")
    old_secret_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, help_text="Failed calls in a row.")
    quiet_until = models.DateTimeField(
        null=True, blank=True, help_text="Nothing is sent before; it failed."
    )
    owner_told_at = models.DateTimeField(
        null=True, blank=True, help_text="When its owner was told that it fails."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["agent", "url"], name="approvals_webhook_endpoint_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One change of a request, to be told at one endpoint: the row is the outbox.

    The database writes it with the change itself (`approvals.protection`); what is sent is the
    request as it is then. `message_id` is the same for every try.
    """

    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries"
    )
    request = models.ForeignKey(
        ActionRequest, on_delete=models.PROTECT, related_name="webhook_deliveries"
    )
    state = models.CharField(max_length=20, help_text="The state it changed to.")
    created_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(db_default=0)
    next_attempt_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(
        max_length=200, blank=True, db_default="", help_text="Why the last try failed."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        verbose_name_plural = "webhook deliveries"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_attempt_at"],
                name="approvals_webhook_waiting",
                condition=models.Q(delivered_at=None, given_up_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.message_id

    @property
    def message_id(self) -> str:
        """Of this message alone, after a restore of the database too."""
        return f"msg_{self.pk}_{int(self.created_at.timestamp() * 1_000_000)}"

    @property
    def is_waiting(self) -> bool:
        return self.delivered_at is None and self.given_up_at is None
