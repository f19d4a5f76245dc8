"""Redeeming for an enforcement point: the answer that something may be done is given once."""

from __future__ import annotations

from uuid import UUID, uuid4

from approvals.exceptions import GrantRefused, IntegrityBroken, NotFound
from approvals.models import ActionRequest, Agent
from approvals.selectors.requests import action_of
from approvals.services.redeem import RedeemedGrant, redeem
from audit.lib.canonical import JsonObject


def redeem_once(
    request_id: UUID,
    *,
    agent: Agent,
    grant_id: int,
    action_type: str,
    params: JsonObject,
    on_behalf_of: str,
) -> RedeemedGrant:
    """Take that very grant for exactly this action. Whoever asks again is refused, always.

    Raises GrantRefused, also when something else was approved ("not_approved_so") or reviewers
    changed the params ("params_changed"), and what `redeem` raises.
    """
    found = ActionRequest.objects.filter(pk=request_id, agent=agent).first()
    if found is None:
        raise NotFound("There is no such request of yours.")
    if (found.action_type, found.on_behalf_of) != (action_type, on_behalf_of):
        raise GrantRefused("The approval is of something else.", code="not_approved_so")
    current = found.grants.filter(revoked_at=None).order_by("-pk").first()
    if current is None or current.pk != grant_id:
        raise GrantRefused("That approval does not count any more.", code="not_approved")
    if action_of(found).params != params:
        raise GrantRefused(
            "Reviewers changed the params: do what they approved, or nothing.",
            code="params_changed",
        )
    # a space, which the API takes from nobody: no other call is by the same redeemer
    grant = redeem(request_id, agent=agent, redeemer=f"authzen {uuid4().hex}")
    if (grant.id, grant.params) != (grant_id, params):  # approved anew in between
        raise IntegrityBroken("Another grant than the one asked for was given: it is not used.")
    return grant
