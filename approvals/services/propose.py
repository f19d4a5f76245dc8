"""Opening a request: validated, stored once per idempotency key, and carried on at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import ceil

from django.db import IntegrityError, transaction

from approvals.choices import ENDED_WITHOUT_EFFECT, UNDOABLE, WITHDRAWABLE, State
from approvals.exceptions import (
    FieldProblem,
    IdempotencyMismatch,
    InvalidProposal,
    Paused,
    StillRunning,
    WrongState,
)
from approvals.models import ActionRequest, Agent, Compensation, RequestContent
from approvals.proposal import Proposal
from approvals.selectors import clock
from approvals.selectors.pauses import what_stops
from approvals.selectors.requests import active_undo_of
from approvals.services.answer import withdraw
from approvals.services.derive import Candidate, derive
from approvals.services.evidence import store_supplied
from approvals.services.intake import CLAIM, begin_intake
from audit.actors import Actor
from audit.canonical import canonical, digest
from audit.events import AuditCode
from audit.services import record, save_with_history
from policies.models import User


@dataclass(frozen=True, slots=True)
class Proposed:
    """The request, and whether this call opened it or an earlier one did."""

    request: ActionRequest
    replayed: bool


def propose(
    proposal: Proposal,
    *,
    agent: Agent,
    idempotency_key: str,
    compensates: ActionRequest | None = None,
    requested_by: User | None = None,
) -> Proposed:
    """Open a request, at most once per agent and key, and carry it on as far as it goes now.

    The same key with the same body answers the first request; with another body it raises
    IdempotencyMismatch; while the first is still being worked on, StillRunning. Raises
    InvalidProposal (every bad field), NotAllowedForAgent and Paused; then nothing is stored.
    What it supersedes is withdrawn with it. A paused agent's done actions can still be undone:
    by a person (`requested_by`), unless their connector or everything is paused.
    """
    body = canonical(proposal.body)
    body_digest = digest(body)
    known = _known(agent, idempotency_key, body_digest)
    if known is not None:
        return known
    candidate = derive(proposal, agent=agent, undoes=compensates)
    kind, by_person = candidate.type, requested_by is not None
    stop = what_stops(kind.key, kind.system, agent, by_person=by_person)
    if stop is not None:
        raise Paused(stop.for_people if by_person else stop.for_agents)
    superseded = _superseded(proposal, agent)
    try:
        request = _open(
            candidate,
            proposal,
            body,
            idempotency_key,
            compensates=compensates,
            supersedes=superseded,
            requested_by=requested_by,
        )
    except IntegrityError:
        # somebody with the same key, or another undo, was a moment faster; else a real error
        undo = active_undo_of(compensates) if compensates is not None else None
        known = Proposed(undo, True) if undo else _known(agent, idempotency_key, body_digest)
        if known is None:
            raise
        return known
    begin_intake(request.pk, candidate.action)
    return Proposed(ActionRequest.objects.select_related("agent").get(pk=request.pk), False)


def _known(agent: Agent, idempotency_key: str, body_digest: str) -> Proposed | None:
    request = (
        ActionRequest.objects.select_related("agent")
        .filter(agent=agent, idempotency_key=idempotency_key)
        .first()
    )
    if request is None:
        return None
    if request.body_digest != body_digest:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used with another body. Use a new key for a new action."
        )
    claimed = request.intake_claimed_until
    if request.state == State.REQUESTED and claimed is not None:
        left = (claimed - clock.now()).total_seconds()
        if left > 0:
            raise StillRunning(
                "The first request with this key is still being worked on; try again.",
                retry_after=ceil(left),
            )
    return Proposed(request, True)


def _superseded(proposal: Proposal, agent: Agent) -> ActionRequest | None:
    if proposal.supersedes is None:
        return None
    found = ActionRequest.objects.filter(pk=proposal.supersedes, agent=agent).first()
    if found is None:
        raise InvalidProposal([FieldProblem("supersedes", "There is no such request of yours.")])
    return found


@transaction.atomic
def _open(
    candidate: Candidate,
    proposal: Proposal,
    body: str,
    idempotency_key: str,
    *,
    compensates: ActionRequest | None,
    supersedes: ActionRequest | None,
    requested_by: User | None,
) -> ActionRequest:
    at = clock.now()
    decide_by = _decide_by(proposal, at)
    kind, amount = candidate.type, candidate.amount
    request = ActionRequest(
        agent=candidate.agent,
        on_behalf_of=proposal.on_behalf_of,
        requested_by=requested_by,
        session=proposal.session,
        idempotency_key=idempotency_key,
        body_digest=digest(body),
        action_type=kind.key,
        action_type_version=kind.version,
        verb=kind.verb.value,
        system=kind.system,
        reversibility=kind.reversibility.value,
        target=candidate.target,
        counterparty=candidate.counterparty,
        amount_minor=amount.minor if amount else None,
        currency=amount.currency if amount else "",
        effect=candidate.effect,
        digest=candidate.digest,
        business_key=candidate.business_key,
        decide_by=decide_by,
        intake_claimed_until=at + CLAIM,
        compensates=compensates,
        supersedes=supersedes,
        created_at=at,
        updated_at=at,
    )
    actor = Actor.human(requested_by) if requested_by else Actor.agent(candidate.agent)
    record(
        AuditCode.REQUESTED,
        actor=actor,
        subject=request,
        data={
            "action_type": kind.key,
            "digest": request.digest,
            "body_digest": request.body_digest,
            "on_behalf_of": proposal.on_behalf_of,
            "agent": candidate.agent.name,
        },
    )
    save_with_history(request, actor=actor, reason=AuditCode.REQUESTED.value)
    RequestContent.objects.create(
        request=request,
        version=1,
        action=candidate.canonical_action,
        digest=candidate.digest,
        proposal=body,
        created_at=at,
    )
    store_supplied(request, proposal.evidence, at=at)
    if supersedes is not None:
        _take_back(supersedes, request)
    if compensates is not None:
        _link_undo(compensates, request, actor, at)
    return request


def _take_back(superseded: ActionRequest, by: ActionRequest) -> None:
    """What is replaced goes with the replacement's birth: never may both be approved."""
    old = ActionRequest.objects.locked(superseded.pk)
    if old.requested_by_id is not None:
        raise InvalidProposal(
            [FieldProblem("supersedes", "A person opened that request; you cannot replace it.")]
        )
    if old.state in ENDED_WITHOUT_EFFECT:
        return
    if old.state not in WITHDRAWABLE:
        raise InvalidProposal(
            [FieldProblem("supersedes", f"It cannot be replaced any more: it is {old.state}.")]
        )
    withdraw(old.pk, agent=by.agent, reason=f"Replaced by {by.pk}.")


def _link_undo(compensates: ActionRequest, undo: ActionRequest, actor: Actor, at: datetime) -> None:
    original = ActionRequest.objects.locked(compensates.pk)
    if original.state not in UNDOABLE:
        raise WrongState(f"Only a done action can be undone: this is {original.state}.")
    Compensation.objects.create(original=original, undo=undo, created_at=at)
    record(AuditCode.UNDO_PROPOSED, actor=actor, subject=original, data={"by": str(undo.pk)})


def _decide_by(proposal: Proposal, at: datetime) -> datetime | None:
    if proposal.decide_by is not None and proposal.decide_by <= at:
        raise InvalidProposal([FieldProblem("decide_by", "Must lie in the future.")])
    return proposal.decide_by
