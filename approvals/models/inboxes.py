"""The inbox: requests as the people who decide them see them, one team's at a time."""

from __future__ import annotations

from approvals.models.request import ActionRequest


class Inbox(ActionRequest):
    """A proxy, so that inboxes have a page of their own. Which team's it is, its address says."""

    class Meta:
        proxy = True
        verbose_name = verbose_name_plural = "inbox"
