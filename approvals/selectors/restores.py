"""After a restore: whether everything is frozen, and what still has to be looked up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from approvals.choices import PauseScope, RestoreFinding, State
from approvals.models import ActionRequest, Pause, RestoreCheck

LOOKED_UP = frozenset({State.PENDING_APPROVAL, State.CHANGES_REQUESTED, State.APPROVED})
"""Believed not carried out. What was being carried out is read back as always."""

BEING_CARRIED_OUT = frozenset({State.EXECUTING, State.EXECUTED, State.OUTCOME_UNKNOWN})

ASK_AGAIN_AFTER = timedelta(minutes=1)
"""Pause before a target that could not be asked is asked again, for as long as the freeze lasts."""

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """How far looking up has come."""

    found: int
    absent: int
    unclear: int
    waiting: int
    being_carried_out: int


def freeze_in_force() -> Pause | None:
    """The freeze after a restore that nobody has ended yet."""
    return Pause.objects.filter(scope=PauseScope.RESTORED, lifted_at=None).first()


def restored_since(at: datetime) -> bool:
    """Was the database restored at that moment or later, as far as anybody has noticed?"""
    return Pause.objects.filter(scope=PauseScope.RESTORED, paused_at__gte=at).exists()


def waiting_for_look_up(freeze: Pause) -> QuerySet[ActionRequest]:
    """What the targets have not been asked about since the restore."""
    checked = RestoreCheck.objects.filter(pause=freeze).values("request_id")
    return ActionRequest.objects.filter(
        state__in=LOOKED_UP, created_at__lte=freeze.paused_at
    ).exclude(pk__in=checked)


def due_for_look_up(at: datetime, most: int) -> list[UUID]:
    """What to ask the targets about now: the new first, then what could not be asked before."""
    freeze = freeze_in_force()
    if freeze is None:
        return []
    new = waiting_for_look_up(freeze).order_by("id").values_list("pk", flat=True)[:most]
    again = RestoreCheck.objects.filter(
        pause=freeze,
        finding=RestoreFinding.UNCLEAR,
        looked_up_at__lte=at - ASK_AGAIN_AFTER,
        request__state__in=LOOKED_UP,
    )
    return [*new, *again.order_by("looked_up_at").values_list("request_id", flat=True)[:most]]


def progress_of(freeze: Pause) -> Progress:
    """The counts of the page."""
    counts = freeze.checks.aggregate(
        **{finding.value: Count("id", filter=Q(finding=finding)) for finding in RestoreFinding}
    )
    carried = ActionRequest.objects.filter(
        state__in=BEING_CARRIED_OUT, created_at__lte=freeze.paused_at
    )
    return Progress(
        **counts,
        waiting=waiting_for_look_up(freeze).count(),
        being_carried_out=carried.count(),
    )


def checks_of(freeze: Pause) -> list[RestoreCheck]:
    """The newest rows of the page: what was done already first, then what could not be asked."""
    found: list[RestoreCheck] = []
    for finding in (RestoreFinding.FOUND, RestoreFinding.UNCLEAR, RestoreFinding.ABSENT):
        rows = freeze.checks.filter(finding=finding).select_related("request")
        found += rows.order_by("-id")[: MOST_SHOWN - len(found)]
    return found


def carried_out_of(freeze: Pause) -> list[ActionRequest]:
    """What was being carried out when the backup was made, the oldest first."""
    carried = ActionRequest.objects.filter(
        state__in=BEING_CARRIED_OUT, created_at__lte=freeze.paused_at
    )
    return list(carried.order_by("id")[:MOST_SHOWN])
