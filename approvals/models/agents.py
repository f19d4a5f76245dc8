"""Agents: who proposes, who answers for them, what they may propose and with which keys."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from audit.lib.money import Money
from audit.models import Chained, kept_history


class Agent(Chained):
    """An AI system with an owner who is accountable for it and never decides on it."""

    name = models.SlugField(max_length=60, unique=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_agents"
    )
    team = models.CharField(max_length=40, help_text="Role group the agent works for.")
    model = models.CharField(max_length=80, blank=True, help_text="Model and version, as deployed.")
    action_types = models.JSONField(
        default=list, help_text="Keys of the action types this agent may propose."
    )
    ceiling_minor = models.BigIntegerField(
        null=True, blank=True, help_text="Largest amount it may propose, minor units; empty: none."
    )
    ceiling_currency = models.CharField(max_length=3, blank=True)
    level = models.PositiveSmallIntegerField(
        default=1,
        help_text="How far it is trusted: 0 on probation, 1 ordinary, 2 proven, 3 trusted.",
    )
    reports_complaints = models.BooleanField(
        default=False, help_text="It may report complaints about what any agent did."
    )
    tokens_only = models.BooleanField(
        default=False,
        help_text="Its keys are refused: it signs in with tokens of its issuers alone.",
    )
    signatures_required = models.BooleanField(
        default=False,
        help_text="What it sends is refused unless it is signed with one of its signing keys.",
    )
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    history: ClassVar[Any] = kept_history(excluded_fields=["audit_seq", "audit_head"])

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(ceiling_minor__isnull=True)
                | (models.Q(ceiling_minor__gte=0) & ~models.Q(ceiling_currency="")),
                name="approvals_agent_ceiling_has_currency",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None

    @property
    def ceiling(self) -> Money | None:
        """The largest amount it may propose, whatever currency it proposes in; None: no ceiling."""
        if self.ceiling_minor is None:
            return None
        return Money(self.ceiling_minor, self.ceiling_currency)


class AgentBudget(models.Model):
    """What an agent may propose in 24 hours, for a kind of action; over it, people decide.

    A replaced budget stays as a row that is no longer valid.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="budgets")
    action_type = models.CharField(
        max_length=60, default="*", help_text='An action type, a family ("refund.*") or "*".'
    )
    most_count = models.PositiveIntegerField(
        null=True, blank=True, help_text="Most requests in 24 hours; empty: no such limit."
    )
    most_minor = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="Largest sum in 24 hours, minor units of the base currency; empty: none.",
    )
    most_per_target = models.PositiveIntegerField(
        null=True, blank=True, help_text="Most requests on one target in 24 hours; empty: none."
    )
    valid = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["agent", "action_type"],
                condition=models.Q(valid=True),
                name="approvals_budget_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent}: {self.action_type}"


class AgentKey(models.Model):
    """A key an agent authenticates with: shown once, kept as a hash, found by its prefix.

    Keys carry 256 random bits, so one SHA-256 is enough; a slow password hash would only cost
    every request.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="keys")
    prefix = models.CharField(max_length=12, unique=True)
    secret_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    replaced_until = models.DateTimeField(
        null=True, blank=True, help_text="A newer key replaced it, and it works until then."
    )
    last_used_at = models.DateTimeField(
        null=True, blank=True, help_text="A call came with it, a few minutes more or less."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @property
    def ends_at(self) -> datetime:
        """When it stops working by itself."""
        return min(filter(None, (self.expires_at, self.replaced_until)))

    def works(self, at: datetime) -> bool:
        return self.revoked_at is None and self.ends_at > at

    @staticmethod
    def hash(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()
