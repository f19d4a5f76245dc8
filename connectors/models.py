"""Connections: configured accounts of outside systems, which action types go through which.

No credential is kept here: a connection names where it is, and it is looked up when a call is
made. What a system gives for it, a token that ends, is kept encrypted. How a connection fares
(`ConnectionState`) moves with every call and is no part of the record.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from audit.models import Chained


class CredentialSource(models.TextChoices):
    """Where a connection's credential is looked up."""

    NONE = "", "none is needed"
    ENVIRONMENT = "environment", "an environment variable"
    FILE = "file", "a file in the folder of credentials"


class Connection(Chained):
    """One configured account of a system. A removed one stays: requests were done through it."""

    name = models.CharField(max_length=32, unique=True)
    system = models.CharField(max_length=40)
    values = models.JSONField(default=dict, help_text="Addresses and the like; never a secret.")
    credential_source = models.CharField(
        max_length=11, choices=CredentialSource.choices, blank=True
    )
    credential_name = models.CharField(max_length=100, blank=True)
    owner = models.CharField(max_length=64, help_text="The natural person who answers for it.")
    calls_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="The most calls in a minute; empty: no budget."
    )
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=(
                    models.Q(credential_source="", credential_name="")
                    | (~models.Q(credential_source="") & ~models.Q(credential_name=""))
                ),
                name="connectors_connection_credential",
            ),
            models.CheckConstraint(
                condition=models.Q(calls_per_minute=None) | models.Q(calls_per_minute__gte=1),
                name="connectors_connection_budget",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Binding(models.Model):
    """An action type goes through this connection from then on, until it is bound otherwise."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="bindings")
    action_type = models.CharField(max_length=60)
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["action_type", "-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["action_type"],
                condition=models.Q(ended_at=None),
                name="connectors_binding_one_connection",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action_type} through {self.connection_id}"


class CircuitState(models.TextChoices):
    """Whether a connection is called: an open breaker sends nothing."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open", "half open"


class ConnectionState(models.Model):
    """How a connection fares, by its name: those from the environment have no other row."""

    name = models.CharField(max_length=40, primary_key=True)
    circuit = models.CharField(
        max_length=9, choices=CircuitState.choices, default=CircuitState.CLOSED
    )
    failures = models.PositiveIntegerField(default=0, help_text="Failed calls in a row.")
    opened_at = models.DateTimeField(null=True, blank=True)
    probed_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(
        max_length=200, blank=True, help_text="Why the last probe failed; empty: it did not."
    )
    minute = models.DateTimeField(null=True, blank=True, help_text="The minute counted last.")
    calls = models.PositiveIntegerField(default=0, help_text="Calls in that minute.")
    busy_until = models.DateTimeField(
        null=True, blank=True, help_text="The system asked to be left alone until then."
    )

    def __str__(self) -> str:
        return self.name


class UnexpectedAnswer(models.Model):
    """An answer that was not as a connection's answers are to be: no JSON, or not of that form.

    Rows stay, to be counted by the policy's triggers. An open breaker keeps them from growing.
    """

    connection = models.CharField(max_length=40)
    action_type = models.CharField(max_length=60)
    call = models.CharField(max_length=10, help_text="preview, execute, look_up or verify.")
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["at"], name="connectors_unexpected_at"),
        ]

    def __str__(self) -> str:
        return f"{self.connection}: {self.call} of {self.action_type}"


class ConnectionToken(models.Model):
    """The token of one connection, encrypted; for all processes, and replaced before it ends."""

    name = models.CharField(max_length=40, primary_key=True)
    identity = models.CharField(max_length=64, help_text="Of the account, client and address.")
    access_token = models.TextField(blank=True)
    refresh_token = models.TextField(blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    generation = models.PositiveIntegerField(default=0, help_text="Tokens kept so far.")
    fetching_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then somebody is fetching a new one."
    )
    problem = models.CharField(
        max_length=200, blank=True, help_text="Why signing in no longer holds; empty: it does."
    )
    signed_in_by = models.CharField(max_length=150, blank=True)
    signed_in_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class SignIn(models.Model):
    """Somebody's signing in to an outside system (RFC 6749, 4.1), from the click to its use.

    What the system gave waits here, encrypted, until a second ops admin agrees.
    """

    connection = models.CharField(max_length=40)
    identity = models.CharField(max_length=64)
    state_digest = models.CharField(max_length=64, unique=True)
    verifier = models.TextField(help_text="The secret of PKCE (RFC 7636), encrypted.")
    reason = models.CharField(max_length=200)
    begun_by_id = models.PositiveBigIntegerField()
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True, blank=True)
    access_token = models.TextField(blank=True)
    refresh_token = models.TextField(blank=True)
    access_expires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.connection} by {self.begun_by_id}"
