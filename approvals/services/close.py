"""What people do about execution: start, watch and stop it, sign off, resolve by hand."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from approvals.choices import INCIDENTS, State
from approvals.domain import compensation, dispatch
from approvals.domain.decision_context import demand_proof
from approvals.domain.execution_end import lose_track
from approvals.domain.transitions import move
from approvals.exceptions import NotAuthorised, Paused, ReasonRequired, WrongState
from approvals.models import ActionRequest, Execution, Grant
from approvals.selectors.authority import may_conclude
from approvals.selectors.pauses import stop_of
from approvals.selectors.requests import latest_execution_of, usable_grant_of
from approvals.services.agent_replies import take_back
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.dates import format_moment
from audit.services import record
from policies.models import User
from policies.services.evaluation import held_until


@transaction.atomic
def start(request_id: UUID, *, operator: User, proof: int | None = None) -> ActionRequest:
    """Start a human-supervised action: the operator says go, and watches.

    `proof` is the id of a Reauthentication of theirs, for tiers 4 and 5. What is started begins:
    raises Paused, and WrongState outside its change window or in a freeze.
    """
    request = ActionRequest.objects.locked(request_id)
    grant = usable_grant_of(request)
    if request.state != State.APPROVED or grant is None or not grant.needs_start:
        raise WrongState(f"There is nothing to start: this is {request.state}.")
    _demand_authority(operator, request)
    if grant.started_by_id is not None:
        raise WrongState("This has been started already.")
    at = db_clock.now()
    _demand_beginning(request, grant, at)
    proven = demand_proof(request, operator, proof, at=at)
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


def _demand_beginning(request: ActionRequest, grant: Grant, at: datetime) -> None:
    """Whoever starts it stays and watches: it must be able to begin now."""
    stop = stop_of(request)
    if stop is not None:
        raise Paused(f"{stop.for_people} Nothing is started while that lasts.")
    if grant.is_break_glass:
        return
    opens_at = held_until(grant.window, grant.action_type, at)
    if opens_at is None or opens_at > at:
        when = f"; it may on {format_moment(opens_at)}" if opens_at else ""
        raise WrongState(f"Nothing may begin now{when}. Start it then.", code="not_now")


@transaction.atomic
def stop(request_id: UUID, *, person: User, reason: str) -> ActionRequest:
    """Stop a human-supervised action: whoever may start it may say that it goes no further.

    What has not begun ends as withdrawn. Of what is being carried out nothing more is called: a
    call that is out cannot be taken back, so its outcome is unknown until the target shows it or a
    person finds out, and what it answers later is evidence. Raises ReasonRequired, NotAuthorised,
    and WrongState for what is not supervised, or has ended.
    """
    if not reason.strip():
        raise ReasonRequired("Write why it has to stop: everybody who approved it reads this.")
    request = ActionRequest.objects.locked(request_id)
    _demand_authority(person, request)
    actor, why = Actor.human(person), f"Stopped by {person}: {reason.strip()}"
    grant = usable_grant_of(request)
    if request.state == State.APPROVED and grant is not None and grant.needs_start:
        take_back(request, actor=actor, reason=why)
        return request
    execution = latest_execution_of(request)
    if request.state != State.EXECUTING or execution is None or not execution.grant.needs_start:
        raise WrongState(f"There is nothing to stop: this is {request.state}.")
    execution = Execution.objects.select_for_update().get(pk=execution.pk)
    attempt = execution.attempts.get(fence=execution.fence)
    lose_track(request, execution, attempt, why, db_clock.now(), actor=actor)
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
