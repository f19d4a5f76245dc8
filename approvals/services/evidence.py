"""Evidence that comes later: supplied by a colleague or the agent, or read again by the system.

The target is read with no transaction open, as for an edit, and policy looks at everything afresh.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from approvals.choices import State
from approvals.domain.derivation import demand_intact
from approvals.domain.new_evidence import look_again
from approvals.domain.target_reader import read_or_go_without
from approvals.exceptions import (
    FieldProblem,
    InvalidProposal,
    NotAuthorised,
    StalePage,
    WrongState,
)
from approvals.models import ActionRequest
from approvals.proposal import SuppliedEvidence
from approvals.selectors.evidence_gaps import evidence_gaps
from approvals.selectors.inbox import requests_of, teams_of
from approvals.selectors.requests import action_of, policy_decision_of
from approvals.selectors.review_snapshot import ReviewedSnapshot, snapshot_of
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from connectors.base import Preview
from policies.models import User


def supply_evidence(
    request_id: UUID, *, person: User, reviewed: ReviewedSnapshot, evidence: SuppliedEvidence
) -> ActionRequest:
    """Add what a colleague knows or has found. Whoever supplies evidence does not decide on it.

    Raises NotAuthorised for whoever's teams were never asked, InvalidProposal for evidence that
    says nothing, StalePage, and WrongState when nobody waits for it.
    """
    if not (evidence.excerpt.strip() or evidence.uri):
        raise InvalidProposal(
            [FieldProblem("text", "Write what you found, or give the address where it is.")]
        )
    _looked_at(request_id, person, reviewed)
    preview = _read(request_id)
    with transaction.atomic():
        request = ActionRequest.objects.locked(request_id)
        _demand_waiting(request, person, reviewed)
        look_again(
            request,
            preview,
            AuditCode.EVIDENCE_SUPPLIED,
            actor=Actor.human(person),
            supplied=[evidence],
            supplied_by=person,
            at=db_clock.now(),
        )
        return request


def read_again(request_id: UUID, *, person: User, reviewed: ReviewedSnapshot) -> ActionRequest:
    """Have the system read the target again, where what it read is in the way of an approval.

    Raises NotAuthorised for whoever's teams were never asked, StalePage, and WrongState when nobody
    waits for it or nothing that the system read is missing.
    """
    _demand_use(_looked_at(request_id, person, reviewed))
    preview = _read(request_id)
    with transaction.atomic():
        request = ActionRequest.objects.locked(request_id)
        _demand_waiting(request, person, reviewed)
        _demand_use(request)
        look_again(
            request,
            preview,
            AuditCode.TARGET_READ_AGAIN,
            actor=Actor.human(person),
            at=db_clock.now(),
        )
        return request


def _looked_at(request_id: UUID, person: User, reviewed: ReviewedSnapshot) -> ActionRequest:
    """Before anything is read for them: who may not see it makes us call nobody."""
    this = ActionRequest.objects.select_related("agent__owner").filter(pk=request_id)
    if not any(requests_of(team, this).exists() for team in teams_of(person)):
        raise NotAuthorised("Only members of a team that was asked add evidence.")
    request = this.get()
    _demand_waiting(request, person, reviewed)
    return request


def _demand_waiting(request: ActionRequest, person: User, reviewed: ReviewedSnapshot) -> None:
    if request.state != State.PENDING_APPROVAL:
        raise WrongState(f"Nobody waits for evidence: this is {request.get_state_display()}.")
    is_theirs = (reviewed.request_id, reviewed.user_id) == (request.pk, person.pk)
    if not is_theirs or reviewed.shown_digest != snapshot_of(request).digest:
        raise StalePage("This has changed since you opened it. Reload it and look again.")
    demand_intact(request)


def _demand_use(request: ActionRequest) -> None:
    policy = policy_decision_of(request)
    gaps = evidence_gaps(request, policy, at=db_clock.now()) if policy else ()
    if not any(gap.can_be_read_again for gap in gaps):
        raise WrongState("Nothing that the system read of the target is missing or stale.")


def _read(request_id: UUID) -> Preview:
    return read_or_go_without(action_of(ActionRequest.objects.get(pk=request_id)))
