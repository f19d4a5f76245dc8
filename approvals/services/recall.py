"""Taking an approval back in the seconds after it was given, before anything is carried out."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from approvals.choices import State
from approvals.domain import reminders
from approvals.domain.grants import revoke_grant
from approvals.domain.new_version import route_to_people, void_approvals
from approvals.domain.transitions import Moves
from approvals.exceptions import WrongState
from approvals.models import ActionRequest
from approvals.selectors.recall import why_not_recall
from approvals.selectors.requests import (
    forget_read,
    policy_decision_of,
    requirements_of,
    usable_grant_of,
)
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from policies.models import User


@transaction.atomic
def recall(request_id: UUID, *, person: User) -> ActionRequest:
    """Take back one's own approval: the grant is void, and people decide anew from the beginning.

    Nothing was carried out, and nothing will be on the old approvals: they count for the version
    they were given on, and the same content becomes the next one. A worker that claims at the same
    moment waits for the same row: one of the two wins. Raises WrongState once the time is over or a
    worker has begun, and NotAuthorised for whoever did not approve it.
    """
    request = ActionRequest.objects.locked(request_id)
    at, grant, policy = db_clock.now(), usable_grant_of(request), policy_decision_of(request)
    if request.state != State.APPROVED or policy is None:
        raise WrongState(f"Too late to recall: this is {request.get_state_display()}.")
    if refusal := why_not_recall(grant, person, at=at):
        raise refusal
    actor = Actor.human(person)
    revoke_grant(request, actor=actor, reason="recalled", at=at)
    void_approvals(request, at=at)
    forget_read(request)
    request.decide_by, request.execute_by = at + policy.decide_within, None
    reminders.restart(request, at=at)
    requirements = requirements_of(request)
    moves = Moves(request, at)
    moves.take(
        request.invalidate,
        AuditCode.INVALIDATED,
        actor,
        {
            "reason": "recalled",
            "version": request.version,
            "groups": sorted({r.group for r in requirements}),
        },
    )
    moves.write()
    route_to_people(request, requirements, at=at)
    return request
