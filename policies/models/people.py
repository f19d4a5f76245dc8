"""The people who work here. Accounts are deactivated, never deleted."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models

from audit.models import Chained, kept_history

NOT_IN_HISTORY = ("password", "last_login", "audit_seq", "audit_head")
"""Secrets, and what changes by itself."""


def person_key(text: str) -> str:
    """One spelling per natural person: spaces, case and Unicode width do not make a second one."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


class User(AbstractUser, Chained):
    """An account. Four-eyes looks at `person`: two accounts of one person share it."""

    person = models.CharField(
        max_length=64,
        blank=True,
        help_text="Identifies the natural person behind the account. "
        "Give a second account of the same person the same value.",
    )
    line_manager = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reports",
        help_text="Who decides where policy asks the manager of whom it is for.",
    )
    history = kept_history(excluded_fields=NOT_IN_HISTORY)

    class Meta(AbstractUser.Meta):
        ordering = ["username"]
        indexes = [models.Index(fields=["person"], name="policies_user_person")]
        constraints = [
            models.CheckConstraint(condition=~models.Q(person=""), name="policies_user_has_person")
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Name the person when nobody did, and keep sign-ins out of the table history."""
        update_fields = kwargs.get("update_fields")
        if update_fields is None or "person" in update_fields:
            self.person = person_key(self.person or self.username)
        if update_fields is None or not set(update_fields) <= set(NOT_IN_HISTORY):
            super().save(*args, **kwargs)
            return
        self.skip_history_when_saving = True
        try:
            super().save(*args, **kwargs)
        finally:
            del self.skip_history_when_saving
