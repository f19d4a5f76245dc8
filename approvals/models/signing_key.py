"""Signing keys: the public keys an agent's signatures are held against, and nonces seen."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from approvals.models.agents import Agent


class SigningKey(models.Model):
    """An Ed25519 public key of an agent's. Whoever has the private one signs as that agent.

    Two people register one; a removed one stays as a row.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="signing_keys")
    key_id = models.CharField(max_length=43, help_text="Thumbprint of the key (RFC 7638).")
    public_key = models.CharField(max_length=43, help_text="32 bytes in base64url (RFC 8037).")
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(
        null=True, blank=True, help_text="A signature came with it, a few minutes more or less."
    )

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["key_id"],
                condition=models.Q(removed_at=None),
                name="approvals_signing_key_unique",
            ),
        ]

    def __str__(self) -> str:
        return self.key_id


class SignatureNonce(models.Model):
    """A nonce that was used with a key; gone once no signature with it could count any more."""

    key = models.ForeignKey(SigningKey, on_delete=models.PROTECT, related_name="nonces")
    nonce = models.CharField(max_length=100)
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["key", "nonce"], name="approvals_nonce_used_once"),
        ]

    def __str__(self) -> str:
        return self.nonce
