"""What background work leaves behind about itself, for whoever asks whether all is well."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Heartbeat(models.Model):
    """When one kind of background work last ran, by the database's clock. One row a kind."""

    SWEEP = "sweep"
    """Written by a sweep that beat asked for and a worker ran: it proves both at once."""
    SYSTEMS = "systems"
    """Written when the outside systems were last tried; `said` has those that did not answer."""

    TRIGGERS = "triggers"
    """Locked by whoever fires one: two workers never measure the same at the same time."""

    name = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()
    said = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.name


class Alarm(models.Model):
    """Something that is wrong now, and whether ops admins have been told. Gone when it is over."""

    code = models.CharField(max_length=40, primary_key=True)
    reason = models.CharField(max_length=500)
    since = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["since"]

    def __str__(self) -> str:
        return self.code
