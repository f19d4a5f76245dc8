"""Saying that one works on something: visible to others, for a while, and locking nobody out."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from approvals.choices import State
from approvals.domain import notifications
from approvals.domain.assignment import clear
from approvals.exceptions import ApprovalError, NotAuthorised, ReasonRequired, WrongState
from approvals.models import ActionRequest, Requirement
from approvals.selectors.authority import authorise
from approvals.selectors.claims import claimant, current_requirements, why_not_claim, why_not_give
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record
from policies.models import User

CLAIMED_FOR = timedelta(minutes=30)
"""How long a claim holds; claiming again begins anew."""


@transaction.atomic
def claim(request_id: UUID, *, person: User) -> Requirement:
    """Say "I work on this" for the requirement they could answer, for CLAIMED_FOR from now.

    Others see it and may decide all the same; after it lapsed they may claim it. Raises
    WrongState, NotAuthorised, and ApprovalError (claimed) naming who works on it and until when.
    """
    request, at = _pending(request_id)
    requirement, _ = authorise(_now(person), request, needs_limit=False, at=at)
    _demand(why_not_claim(requirement, person, at))
    requirement.assignee, requirement.claimed_until = person, at + CLAIMED_FOR
    requirement.save(update_fields=["assignee", "claimed_until"])
    record(
        AuditCode.CLAIMED,
        actor=Actor.human(person),
        subject=request,
        data={
            "group": requirement.group,
            "requirement": requirement.pk,
            "until": requirement.claimed_until.isoformat(),
        },
    )
    return requirement


@transaction.atomic
def release(request_id: UUID, *, person: User) -> Requirement:
    """Give one's own claim back. Raises WrongState when there is none (any more)."""
    request, at = _pending(request_id)
    own = _now(person).person
    claimed = (one for one in current_requirements(request) if claimant(one, at) == own)
    requirement = next(claimed, None)
    if requirement is None:
        raise WrongState("You have not claimed this, or your claim has lapsed.")
    clear(requirement)
    record(
        AuditCode.CLAIM_RELEASED,
        actor=Actor.human(person),
        subject=request,
        data={"group": requirement.group, "requirement": requirement.pk},
    )
    return requirement


@transaction.atomic
def reassign(request_id: UUID, *, by: User, to_user_id: int, reason: str) -> Requirement:
    """Give it to somebody who may decide it; they are told. It is theirs to do, and nobody's alone.

    The assignee may, a member of a group that is asked, and a manager; who took part in the
    request does not choose who decides it. A claim that holds is only the claimant's or a
    manager's to give away. Raises WrongState, NotAuthorised, ReasonRequired and
    ApprovalError (claimed).
    """
    request, at = _pending(request_id)
    by = _now(by)
    if not reason.strip():
        raise ReasonRequired("Write why somebody else should do it.")
    to = User.objects.filter(pk=to_user_id, is_active=True).first()
    if to is None:
        raise NotAuthorised("There is no such colleague.", code="unknown_user")
    try:
        requirement, _ = authorise(to, request, needs_limit=True, at=at)
    except NotAuthorised as refusal:
        sentence = f"{to.get_username()} may not decide this. Choose somebody who may."
        raise NotAuthorised(sentence, code=refusal.code) from None
    _demand(why_not_give(by, request, requirement, at))
    requirement.assignee, requirement.claimed_until = to, None
    requirement.save(update_fields=["assignee", "claimed_until"])
    record(
        AuditCode.REASSIGNED,
        actor=Actor.human(by),
        subject=request,
        data={
            "person": to.get_username(),
            "group": requirement.group,
            "requirement": requirement.pk,
            "reason": reason.strip()[:500],
        },
    )
    notifications.reassigned(request, to)
    return requirement


def _pending(request_id: UUID) -> tuple[ActionRequest, datetime]:
    request = ActionRequest.objects.locked(request_id)
    if request.state != State.PENDING_APPROVAL:
        raise WrongState(f"This is {request.get_state_display()}; there is nothing to work on.")
    return request, db_clock.now()


def _now(person: User) -> User:
    """The account as it is, not as it was when the session began."""
    return User.objects.get(pk=person.pk)


def _demand(refusal: ApprovalError | None) -> None:
    if refusal is not None:
        raise refusal
