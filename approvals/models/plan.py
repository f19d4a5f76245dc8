"""Plans: several actions proposed together, judged together and done in order."""

from __future__ import annotations

import json
from typing import ClassVar

from django.db import models
from uuid6 import uuid7

from approvals.choices import PlanOutcome
from approvals.models.agents import Agent
from audit.models import Chained
from policies.facts import PlanFacts


class Plan(Chained):
    """What a proposal of several actions opens. Its steps are requests of their own.

    Everything about a step is on its request; the plan says in which order they run, whether they
    still do, and what became of them all.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="plans")
    intent = models.TextField(help_text="What all of it is for, as the agent says.")
    session = models.CharField(max_length=100, blank=True)
    idempotency_key = models.CharField(max_length=200)
    body_digest = models.CharField(max_length=64)
    facts = models.TextField(help_text="Canonical JSON of what rules may ask about the plan.")
    created_at = models.DateTimeField()

    next_look_at = models.DateTimeField(
        null=True, blank=True, help_text="When somebody next sees whether anything is to be done."
    )
    stopped_at = models.DateTimeField(null=True, blank=True)
    stop_reason = models.CharField(max_length=300, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, blank=True, choices=PlanOutcome.choices)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["agent", "idempotency_key"], name="approvals_plan_key_unique"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["next_look_at"],
                name="approvals_plan_due",
                condition=models.Q(next_look_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"plan {self.pk}"

    def facts_of_step(self, step: int) -> PlanFacts:
        """What rules may ask about the plan, for its step of that number, from 1."""
        kept = json.loads(self.facts)
        return PlanFacts(**{**kept, "systems": tuple(kept["systems"]), "step": step})
