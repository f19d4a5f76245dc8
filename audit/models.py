"""What the trail is made of: events chained per subject, and the heads their subjects carry.

A table's history is kept in one way, too. Its rows are handy for reading; the proof is the trail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db import models
from simple_history.models import HistoricalRecords

from audit.actors import ActorKind
from audit.events import AuditCode
from audit.lib import db_clock


class _Records(HistoricalRecords):  # type: ignore[misc]  # the library is untyped
    """History rows stamped by the database's clock, whoever saves."""

    def create_historical_record(self, instance: Any, *args: Any, **kwargs: Any) -> None:
        if hasattr(instance, "_history_date"):  # save_with_history knows the time
            super().create_historical_record(instance, *args, **kwargs)
            return
        instance._history_date = db_clock.now()
        try:
            super().create_historical_record(instance, *args, **kwargs)
        finally:
            del instance._history_date


def kept_history(*, excluded_fields: Sequence[str] = ()) -> HistoricalRecords:
    """History rows with room: 64-bit ids and reasons of any length.

    Rows are stamped by `audit.services.save_with_history`; there is no middleware guessing the
    user. They are ordinary rows, handy for reading: the proof is the trail.
    """
    return _Records(
        history_id_field=models.BigAutoField(),
        history_change_reason_field=models.TextField(null=True),
        excluded_fields=list(excluded_fields),
    )


class Chained(models.Model):
    """A record with a hash chain of its own; its row carries the chain's head.

    Because the head lives in the row that is locked anyway, writers of different subjects never
    wait for each other, and cutting the end off a chain contradicts the row.
    """

    audit_seq = models.PositiveIntegerField(default=0, editable=False)
    audit_head = models.CharField(max_length=64, default="", blank=True, editable=False)

    class Meta:
        abstract = True


class AuditStream(Chained):
    """A subject for events that belong to no other record, such as role synchronisation."""

    name = models.CharField(max_length=40, primary_key=True)

    def __str__(self) -> str:
        return self.name


def code_choices() -> list[tuple[str, str]]:
    """The closed list, as a callable: a new code then needs no migration of a huge table."""
    return [(code.value, code.value) for code in AuditCode]


class AuditEvent(models.Model):
    """One thing that happened. Rows are inserted and never change; triggers see to it."""

    id = models.BigAutoField(primary_key=True)
    subject_type = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=40)
    seq = models.PositiveIntegerField()
    code = models.CharField(max_length=40, choices=code_choices)
    actor_kind = models.CharField(max_length=6, choices=ActorKind.choices)
    actor_id = models.CharField(max_length=40)
    actor_name = models.CharField(max_length=150)
    at = models.DateTimeField()
    state = models.CharField(
        max_length=24, blank=True, help_text="The subject's state once this had happened."
    )
    data = models.TextField(help_text="Canonical JSON (RFC 8785).")
    key_id = models.CharField(max_length=8)
    mac = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        verbose_name = "event"
        verbose_name_plural = "trail"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["subject_type", "subject_id", "seq"], name="audit_event_seq_unique"
            ),
            models.CheckConstraint(
                condition=models.Q(seq__gte=1), name="audit_event_seq_starts_at_one"
            ),
            models.CheckConstraint(
                condition=models.Q(actor_kind__in=ActorKind.values),
                name="audit_event_actor_kind_known",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["actor_id", "id"], name="audit_event_actor"),
            models.Index(fields=["code", "id"], name="audit_event_code"),
            # which people did that, where agents and systems did it a million times
            models.Index(fields=["actor_kind", "code", "id"], name="audit_event_kind_and_code"),
            models.Index(fields=["at", "id"], name="audit_event_at"),
            models.Index(
                fields=["actor_name"],
                name="audit_event_actor_name",
                opclasses=["varchar_pattern_ops"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject_type} {self.subject_id} #{self.seq} {self.code}"


class RequiredEvent(models.Model):
    """The event that has to follow the last protected change of a subject.

    Triggers write it (see `audit.protection`). A deferred foreign key leads to the event, so that
    a transaction that changes a row and records nothing is refused when it commits.
    """

    subject_type = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=40)
    seq = models.PositiveIntegerField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["subject_type", "subject_id"], name="audit_required_event_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject_type} {self.subject_id} #{self.seq}"
