"""The inbox: requests as the people who decide them see them, one team's at a time."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from approvals.models.request import ActionRequest


class Inbox(ActionRequest):
    """A proxy, so that inboxes have a page of their own. Which team's it is, its address says."""

    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "inbox"


class SavedView(models.Model):
    """One person's name for what an inbox shows with some filters set."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="saved_views"
    )
    team = models.CharField(max_length=150, help_text="Whose inbox, as its address has it.")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=1000, help_text="The filters, as the address has them.")
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["user", "team", "name"], name="approvals_savedview_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name
