"""Grants: what an approval unlocks, issued once and revoked when it no longer holds."""

from __future__ import annotations

from datetime import datetime

from approvals.domain.transitions import Moves
from approvals.models import ActionRequest, Grant, TargetReading
from approvals.selectors.requests import usable_grant_of
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
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
) -> None:
    """One use, for exactly the current version as it was read (`reading_of`), until `expires_at`.

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
    data: JsonObject = {
        "grant": grant.pk,
        "digest": grant.digest,
        "approvers": grant.approvers,
        "expires_at": grant.expires_at.isoformat(),
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
