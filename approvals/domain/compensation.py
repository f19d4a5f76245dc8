"""What an undo does to the request it undoes, when it ends."""

from __future__ import annotations

from approvals.choices import UNDOABLE
from approvals.domain import plans
from approvals.domain.transitions import VERIFIER, move
from approvals.models import ActionRequest, Compensation
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record


def complete_undo(undo: ActionRequest, *, actor: Actor = VERIFIER) -> None:
    """The undo took effect, as `actor` saw: what it undoes is compensated.

    No-op for any other request.
    """
    link = Compensation.objects.filter(undo=undo, is_active=True).first()
    if link is None:
        return
    original = ActionRequest.objects.locked(link.original_id)
    if original.state not in UNDOABLE:
        return
    move(
        original,
        original.compensate,
        AuditCode.COMPENSATED,
        actor=actor,
        data={"by": str(undo.pk)},
    )


def end_undo(undo: ActionRequest, *, actor: Actor = VERIFIER) -> None:
    """The undo ended without effect: another may be proposed. No-op for any other request."""
    link = Compensation.objects.filter(undo=undo, is_active=True).first()
    if link is None:
        return
    original = ActionRequest.objects.locked(link.original_id)
    link.is_active = False
    link.save(update_fields=["is_active"])
    record(
        AuditCode.UNDO_ENDED,
        actor=actor,
        subject=original,
        data={"by": str(undo.pk), "outcome": undo.state},
    )
    if original.plan_id is not None:
        plans.look_again(original.plan_id, at=db_clock.now())
