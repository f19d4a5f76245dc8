"""Workload identities: whose tokens are an agent's, instead of a key."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from approvals.models.agents import Agent


class WorkloadIdentity(models.Model):
    """A token of this issuer, for this audience, with exactly these claims, is the agent's.

    Two people register one; a removed one stays as a row.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="identities")
    issuer = models.CharField(max_length=300, help_text="As the claim iss has it.")
    audience = models.CharField(max_length=300, help_text="The only audience of its tokens.")
    keys_url = models.CharField(
        max_length=300,
        blank=True,
        help_text="Where its keys are (JWKS); empty: where its metadata says.",
    )
    claims = models.JSONField(help_text="Claims and their exact values, sub among them.")
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(
        null=True, blank=True, help_text="A call came with it, a few minutes more or less."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        verbose_name_plural = "workload identities"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["issuer"],
                name="approvals_identity_issuer",
                condition=models.Q(removed_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.claims['sub']} of {self.issuer}"

    def is_named_by(self, claims: dict[str, Any]) -> bool:
        """Whether these claims of a verified token, its audience apart, are this identity's."""
        return all(claims.get(name) == value for name, value in self.claims.items())
