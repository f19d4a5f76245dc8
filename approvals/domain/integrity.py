"""A request whose stored content or columns contradict each other: people learn it, once.

Whoever finds it is refused, and the refusal takes its own transaction back; what was found is
recorded in one of its own afterwards.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from approvals.choices import State
from approvals.domain import compensation, notifications
from approvals.domain.grants import revoke_grant
from approvals.domain.policy_check import denied_by_engine
from approvals.domain.routing import keep_policy_decision
from approvals.domain.transitions import EXECUTOR, move
from approvals.exceptions import IntegrityBroken
from approvals.models import ActionRequest, IntegrityIncident, PolicyDecision
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject, digest_of
from audit.services import record

NOT_AS_APPROVED = "What is stored is no longer what was approved, so it is never carried out."


@transaction.atomic
def report(
    request_id: UUID, broken: IntegrityBroken, *, found_by: IntegrityIncident.FoundBy, actor: Actor
) -> None:
    """Keep what was found, as an event and an incident, and tell ops admins, security, auditors.

    The same finding again changes nothing: one incident, however often somebody clicks.
    """
    keep(ActionRequest.objects.locked(request_id), broken, found_by=found_by, actor=actor)


@transaction.atomic
def end_approved(request_id: UUID, broken: IntegrityBroken) -> None:
    """What is approved and no longer what was approved is never carried out: it ends, reported."""
    request = ActionRequest.objects.locked(request_id)
    if request.state != State.APPROVED:
        return
    keep(request, broken, found_by=IntegrityIncident.FoundBy.EXECUTION)
    at = db_clock.now()
    revoke_grant(request, actor=EXECUTOR, reason=broken.code, at=at)
    evaluation = denied_by_engine("not-as-approved", NOT_AS_APPROVED, tier=request.effective_tier)
    decision = keep_policy_decision(
        request, None, evaluation, None, purpose=PolicyDecision.Purpose.EXECUTION, at=at
    )
    request.verdict = evaluation.verdict.value
    data: JsonObject = {"reason": broken.code, "policy_decision": decision.pk}
    move(request, request.deny, AuditCode.DENIED, actor=EXECUTOR, data=data)
    compensation.end_undo(request)
    notifications.ended(request)


def keep(
    request: ActionRequest,
    broken: IntegrityBroken,
    *,
    found_by: IntegrityIncident.FoundBy,
    actor: Actor = EXECUTOR,
) -> None:
    """The same, where whoever found it has the request locked and goes on with it."""
    incident, is_new = IntegrityIncident.objects.get_or_create(
        request=request,
        fingerprint=_fingerprint(request),
        defaults={
            "problem": broken.message[:500],
            "found_by": found_by,
            "found_at": db_clock.now(),
        },
    )
    if not is_new:
        return
    record(
        AuditCode.INTEGRITY_BROKEN,
        actor=actor,
        subject=request,
        data={
            "problem": broken.code,
            "found_by": incident.found_by,
            "incident": incident.pk,
            "fingerprint": incident.fingerprint,
        },
    )
    notifications.integrity_broken(request)


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
