"""A request whose stored content or columns contradict each other: people learn it, once.

Whoever finds it is refused, and the refusal takes its own transaction back; what was found is
recorded in one of its own afterwards.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from approvals.choices import State
from approvals.exceptions import IntegrityBroken
from approvals.models import ActionRequest, IntegrityIncident
from approvals.selectors import clock
from approvals.services import compensate, notify
from approvals.services.grants import revoke_grant
from approvals.services.moves import EXECUTOR, move
from audit.actors import Actor
from audit.canonical import digest_of
from audit.events import AuditCode
from audit.services import record


@transaction.atomic
def report(
    request_id: UUID, broken: IntegrityBroken, *, found_by: IntegrityIncident.FoundBy, actor: Actor
) -> None:
    """Keep what was found, as an event and an incident, and tell ops admins, security, auditors.

    The same finding again changes nothing: one incident, however often somebody clicks.
    """
    _keep(ActionRequest.objects.locked(request_id), broken, found_by=found_by, actor=actor)


@transaction.atomic
def end_approved(request_id: UUID, broken: IntegrityBroken) -> None:
    """What is approved and no longer what was approved is never carried out: it ends, reported."""
    request = ActionRequest.objects.locked(request_id)
    if request.state != State.APPROVED:
        return
    _keep(request, broken, found_by=IntegrityIncident.FoundBy.EXECUTION, actor=EXECUTOR)
    reason = "What is stored is not what was approved, so it is not carried out."
    revoke_grant(request, actor=EXECUTOR, reason=reason, at=clock.now())
    move(request, request.deny, AuditCode.DENIED, actor=EXECUTOR, data={"reason": reason})
    compensate.end_undo(request)
    notify.ended(request)


def _keep(
    request: ActionRequest,
    broken: IntegrityBroken,
    *,
    found_by: IntegrityIncident.FoundBy,
    actor: Actor,
) -> None:
    incident, is_new = IntegrityIncident.objects.get_or_create(
        request=request,
        fingerprint=_fingerprint(request),
        defaults={
            "problem": broken.message[:500],
            "found_by": found_by,
            "found_at": clock.now(),
        },
    )
    if not is_new:
        return
    record(
        AuditCode.INTEGRITY_BROKEN,
        actor=actor,
        subject=request,
        data={
            "problem": broken.message,
            "found_by": incident.found_by,
            "incident": incident.pk,
            "fingerprint": incident.fingerprint,
        },
    )
    notify.integrity_broken(request)


def _fingerprint(request: ActionRequest) -> str:
    """What is stored now, whether it makes sense or not."""
    contents = request.contents.order_by("version").values_list("version", "action", "digest")
    return digest_of(
        {
            "contents": [list(content) for content in contents],
            "version": request.version,
            "digest": request.digest,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "target": request.target,
            "counterparty": request.counterparty,
        }
    )
