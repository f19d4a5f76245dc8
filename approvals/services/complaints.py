"""Complaints about what was done, reported by a system that hears of them: a help desk, say."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction

from approvals.choices import State
from approvals.exceptions import IdempotencyMismatch, WrongState
from approvals.models import ActionRequest, Agent, Complaint
from approvals.selectors.requests import request_to_complain_about
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record

_MAY_HAVE_AN_EFFECT = frozenset(
    {
        State.EXECUTED,
        State.OUTCOME_UNKNOWN,
        State.VERIFIED,
        State.VERIFICATION_FAILED,
        State.AUDITED,
        State.RESOLVED,
        State.COMPENSATED,
    }
)


@dataclass(frozen=True, slots=True)
class Reported:
    """The complaint as it is on record, and whether it was before this call."""

    complaint: Complaint
    replayed: bool = False


@transaction.atomic
def report_complaint(request_id: UUID, *, agent: Agent, reference: str, text: str) -> Reported:
    """Put on record that somebody complained about a request that was carried out.

    An agent may report about its own requests, and one that reports complaints about any. The
    reference, the complaint's number where it was made, counts once per agent: the same again
    answers what is on record. Raises NotFound, WrongState for what was not carried out, and
    IdempotencyMismatch where the reference was used for another request or text.
    """
    found = request_to_complain_about(request_id, agent)
    request = ActionRequest.objects.locked(found.pk)
    known = _known(agent, reference)
    if known is not None:
        return _the_same(known, request, text)
    if request.state not in _MAY_HAVE_AN_EFFECT:
        raise WrongState("It was not carried out: there is nothing to complain about.")
    at = db_clock.now()
    complaint = Complaint(
        request=request, reported_by=agent, reference=reference, text=text, created_at=at
    )
    try:
        with transaction.atomic():
            complaint.save()
    except IntegrityError:  # about another request, at this very moment
        known = _known(agent, reference)
        if known is None:
            raise
        return _the_same(known, request, text)
    record(
        AuditCode.COMPLAINT_REPORTED,
        actor=Actor.agent(agent),
        subject=request,
        data={"complaint": complaint.pk, "reference": reference},
        at=at,
    )
    return Reported(complaint)


def _known(agent: Agent, reference: str) -> Complaint | None:
    return Complaint.objects.filter(reported_by=agent, reference=reference).first()


def _the_same(known: Complaint, request: ActionRequest, text: str) -> Reported:
    if known.request_id != request.pk or known.text != text:
        raise IdempotencyMismatch("This reference was used for another complaint.")
    return Reported(known, replayed=True)
