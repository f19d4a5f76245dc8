"""What goes to an enforcement point and comes back: signed, opaque to it, and good for one agent.

Both roles of the profile (decision point and access request service) are this installation, so its
own signature is enough; there are no keys to publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core import signing
from django.utils.dateparse import parse_datetime

from approvals.authzen.messages import Asked
from approvals.exceptions import AccessRequestRefused
from approvals.models import Agent

DENIAL_LASTS = timedelta(minutes=10)
"""How long a denial may be followed by a request for what it denied."""
_DENIAL, _APPROVAL = "authzen.denial", "authzen.approval"


@dataclass(frozen=True, slots=True)
class Approval:
    """Which grant an approval's id stands for."""

    request_id: UUID
    grant_id: int


def bind(asked: Asked, agent: Agent, *, evaluation_id: str, expires_at: datetime) -> str:
    """What ties a request to this denial of exactly that, to that agent, until then."""
    bound = {
        "evaluation_id": evaluation_id,
        "agent": agent.pk,
        "digest": asked.digest,
        "expires_at": expires_at.isoformat(),
    }
    return signing.dumps(bound, salt=_DENIAL)


def demand_bound(token: str, echoed: str, asked: Asked, agent: Agent, *, at: datetime) -> str:
    """The id of the denied evaluation. Raises AccessRequestRefused for anything else's denial."""
    not_its = AccessRequestRefused("That denial is not one of exactly this, to this agent.")
    try:
        bound = signing.loads(token, salt=_DENIAL)
        expires_at = parse_datetime(bound["expires_at"])
    except signing.BadSignature:
        raise not_its from None
    said = (bound["agent"], bound["digest"], bound["expires_at"])
    if expires_at is None or said != (agent.pk, asked.digest, echoed):
        raise not_its
    if expires_at <= at:
        raise AccessRequestRefused("The denial is too old: evaluate again.", code="expired_denial")
    return str(bound["evaluation_id"])


def approval_id(request_id: UUID, grant_id: int) -> str:
    """The id under which this grant is asked to be used."""
    return signing.dumps([str(request_id), grant_id], salt=_APPROVAL)


def approval_of(text: str) -> Approval | None:
    """What was given out under that id; None for anything else."""
    try:
        request_id, grant_id = signing.loads(text, salt=_APPROVAL)
    except signing.BadSignature:
        return None
    return Approval(UUID(request_id), grant_id)
