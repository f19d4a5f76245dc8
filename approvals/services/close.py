"""What people do after execution: start and watch, sign off, resolve by hand."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Q

from approvals.choices import INCIDENTS, State
from approvals.domain import compensation, dispatch
from approvals.domain.decision_context import demand_proof
from approvals.domain.transitions import move
from approvals.exceptions import NotAuthorised, ReasonRequired, WrongState
from approvals.models import ActionRequest
from approvals.selectors.authority import may_conclude
from approvals.selectors.requests import usable_grant_of
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record
from policies.models import User


@transaction.atomic
def start(request_id: UUID, *, operator: User, proof: int | None = None) -> ActionRequest:
    """Start a human-supervised action: the operator says go, and watches.

    `proof` is the id of a Reauthentication of theirs, for tiers 4 and 5.
    """
    request = ActionRequest.objects.locked(request_id)
    grant = usable_grant_of(request)
    if request.state != State.APPROVED or grant is None or not grant.needs_start:
        raise WrongState(f"There is nothing to start: this is {request.state}.")
    _demand_authority(operator, request)
    if grant.started_by_id is not None:
        raise WrongState("This has been started already.")
    proven = demand_proof(request, operator, proof, at=db_clock.now())
    grant.started_by = operator
    grant.save(update_fields=["started_by"])
    record(
        AuditCode.STARTED,
        actor=Actor.human(operator),
        subject=request,
        data={"grant": grant.pk, "authentication": proven.method if proven else ""},
    )
    dispatch.execution_of(request.pk)
    return request


@transaction.atomic
def sign_off(
    request_id: UUID, *, person: User, note: str, proof: int | None = None
) -> ActionRequest:
    """Close a verified record of tier 4 or 5 as the accountable person, who proves who they are."""
    request = ActionRequest.objects.locked(request_id)
    if request.state != State.VERIFIED:
        raise WrongState(f"Only a verified action is signed off: this is {request.state}.")
    _demand_authority(person, request)
    broke = Q(person=person.person) | Q(decision__decider__person=person.person)
    if request.broken_glass.filter(broke).exists():
        raise NotAuthorised(
            "You approved this alone by break-glass, so somebody else closes the record."
        )
    proven = demand_proof(request, person, proof, at=db_clock.now())
    move(
        request,
        request.audit,
        AuditCode.SIGNED_OFF,
        actor=Actor.human(person),
        data={"note": note, "authentication": proven.method if proven else ""},
    )
    return request


@transaction.atomic
def resolve(request_id: UUID, *, person: User, applied: bool, outcome: str) -> ActionRequest:
    """End an incident: somebody found out whether it was `applied` and writes down how they know.

    An undo that was applied has compensated what it undoes, and nobody is offered a second; one
    that was not makes room for another.
    """
    request = ActionRequest.objects.locked(request_id)
    if request.state not in INCIDENTS:
        raise WrongState(f"There is no incident to resolve: this is {request.state}.")
    _demand_authority(person, request)
    if not outcome.strip():
        raise ReasonRequired("Write what really happened, and how you know.")
    execution = request.executions.select_for_update().latest("id")
    execution.finished_at = execution.finished_at or db_clock.now()
    execution.save(update_fields=["finished_at"])
    move(
        request,
        request.resolve,
        AuditCode.RESOLVED,
        actor=Actor.human(person),
        data={"applied": applied, "outcome": outcome},
    )
    if applied:
        compensation.complete_undo(request, actor=Actor.human(person))
    else:
        compensation.end_undo(request, actor=Actor.human(person))
    return request


def _demand_authority(person: User, request: ActionRequest) -> None:
    if not may_conclude(person, request):
        raise NotAuthorised("Only people who may decide on this may do that.")
