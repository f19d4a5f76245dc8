"""Grants: what an approval unlocks, issued once and revoked when it no longer holds."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from uuid import UUID

from approvals.domain.transitions import Moves
from approvals.exceptions import IntegrityBroken
from approvals.models import ActionRequest, Grant, TargetReading
from approvals.selectors.requests import usable_grant_of
from audit.actors import Actor
from audit.attested import Signed, newest_signed
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.lib.prepared import Question
from audit.services import Entry, record
from connectors.registry import action_type
from policies.matrix import OperatingModel


def issue_grant(
    moves: Moves,
    reading: TargetReading | None,
    *,
    approvers: list[str],
    window: str,
    expires_at: datetime,
    actor: Actor,
    is_break_glass: bool = False,
    operating_model: str = "",
    recall_for: timedelta = timedelta(0),
) -> None:
    """One use, for exactly the current version as it was read (`reading_of`), until `expires_at`.

    For as long as `recall_for` whoever approved may recall it, and nobody uses it.

    The caller writes the moves, and the grant's event with them.
    """
    grant = new_grant(
        moves.request,
        target_version=reading.target_version if reading else "",
        guard=reading.guard if reading else "",
        connection=reading.connection if reading else "",
        approvers=approvers,
        window=window,
        expires_at=expires_at,
        at=moves.at,
        is_break_glass=is_break_glass,
        operating_model=operating_model,
    )
    if recall_for:
        grant.usable_from = moves.at + recall_for
    moves.also(entry_of(moves.store_keyed(grant), actor=actor))


def new_grant(
    request: ActionRequest,
    *,
    target_version: str,
    guard: str,
    connection: str,
    approvers: list[str],
    window: str,
    expires_at: datetime,
    at: datetime,
    is_break_glass: bool = False,
    operating_model: str = "",
) -> Grant:
    """A grant, not stored yet; the caller records `entry_of` it in the same transaction.

    What the agent only prepares, and what moves the physical world, waits for a person to start it.
    """
    return Grant(
        request=request,
        version=request.version,
        action_type=request.action_type,
        target=request.target,
        digest=request.digest,
        target_version=target_version,
        guard=guard,
        connection=connection,
        ceiling_minor=request.amount_minor,
        currency=request.currency,
        approvers=approvers,
        window=window,
        expires_at=expires_at,
        is_break_glass=is_break_glass,
        needs_start=operating_model == OperatingModel.ASSISTED
        or action_type(request.action_type).supervised,
        created_at=at,
    )


def entry_of(grant: Grant, *, actor: Actor) -> Entry:
    """What goes on record when a grant is issued."""
    recall: JsonObject = {}
    if grant.usable_from is not None:
        recall = {"usable_from": grant.usable_from.isoformat()}
    data: JsonObject = {
        "grant": grant.pk,
        "digest": grant.digest,
        "approvers": grant.approvers,
        "expires_at": grant.expires_at.isoformat(),
        **recall,
    }
    return Entry(AuditCode.GRANT_ISSUED, actor, data=data)


def revoke_grant(request: ActionRequest, *, actor: Actor, reason: str, at: datetime) -> None:
    """Make the usable grant, if there is one, unusable for good."""
    grant = usable_grant_of(request)
    if grant is None:
        return
    grant.revoked_at = at
    grant.save(update_fields=["revoked_at"])
    record(
        AuditCode.GRANT_REVOKED,
        actor=actor,
        subject=request,
        data={"grant": grant.pk, "reason": reason},
        at=at,
    )


_ISSUED = newest_signed(ActionRequest, AuditCode.GRANT_ISSUED)


def issue_asked(request_id: UUID) -> Question:
    """What `demand_as_issued` is going to ask, for `asked_together`."""
    return _ISSUED.asking(subject=str(request_id))


def demand_as_issued(request: ActionRequest, grant: Grant, digest: str) -> None:
    """The action is the one the grant was issued for, and the trail says so.

    Whoever writes into the database can make rows agree with each other, and has no key to sign the
    event with. Raises IntegrityBroken.
    """
    if (grant.digest, grant.version) != (digest, request.version):
        raise IntegrityBroken(f"The grant of {request.pk} was not issued for its stored action.")
    issued = _ISSUED.first(subject=str(request.pk))
    event = Signed(*issued) if issued else None
    if event is None or not event.is_genuine:
        raise IntegrityBroken(f"The trail does not say that the grant of {request.pk} was issued.")
    said = json.loads(event.data)
    if (said["grant"], said["digest"]) != (grant.pk, digest):
        raise IntegrityBroken(f"The trail has another action of {request.pk} approved.")
