"""Opening a request: validated, stored once per idempotency key, and carried on at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from django.core.cache import cache
from django.db import IntegrityError, transaction

from approvals.choices import ENDED_WITHOUT_EFFECT, UNDOABLE, State
from approvals.domain import intake
from approvals.domain.evidence import keep_items, supplied_items
from approvals.domain.intake import NewRequest, Opened
from approvals.domain.proposal_check import check_proposal, irreplaceable
from approvals.domain.target_reader import READ_SECONDS, read_in_time
from approvals.exceptions import (
    IdempotencyMismatch,
    InvalidProposal,
    StillRunning,
    WrongState,
)
from approvals.models import ActionRequest, Agent, Compensation
from approvals.proposal import Proposal
from approvals.selectors.pauses import standing_asked
from approvals.selectors.requests import active_undo_of
from approvals.services.agent_replies import withdraw
from approvals.services.intake import leave_to_worker
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import canonical, digest
from audit.lib.prepared import Given, Prepared, asked_together
from audit.services import record
from policies.models import User

_AT_IT = "The first request with this key is still being worked on; try again."
_OTHER_BODY = "This Idempotency-Key was used with another body. Use a new key for a new action."


@dataclass(frozen=True, slots=True)
class Proposed:
    """The request, and whether this call opened it or an earlier one did."""

    request: ActionRequest
    replayed: bool
    opened: Opened | None = None
    """The rows it was opened with; None when there was one already, or a worker carries it on."""


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
    body_digest = digest(canonical(proposal.body))
    by_person = requested_by is not None
    with asked_together(
        _OF_KEY.asking(agent=agent.pk, key=idempotency_key),
        *standing_asked(proposal.action_type, by_person=by_person),
    ) as at:
        known = _known(agent, idempotency_key, body_digest)
        if known is not None:
            return known
        checked = check_proposal(
            proposal, agent=agent, compensates=compensates, by_person=by_person
        )
    new = NewRequest(
        checked.candidate,
        proposal,
        idempotency_key,
        compensates=compensates,
        supersedes=checked.supersedes,
        requested_by=requested_by,
    )
    with _key_held(agent, idempotency_key, body_digest):
        return _open(new, body_digest, at)


def _open(new: NewRequest, body_digest: str, at: datetime) -> Proposed:
    compensates, candidate = new.compensates, new.candidate
    preview = read_in_time(candidate.action, at=at)
    try:
        if preview is not None and new.stands_alone:
            opened = intake.open_at_once(new, preview)
            return Proposed(opened.request, False, opened)
        request = _store(new)
    except IntegrityError:
        # somebody with the same key, or another undo, was a moment faster; else a real error
        undo = active_undo_of(compensates) if compensates is not None else None
        known = (
            Proposed(undo, True)
            if undo
            else _known(candidate.agent, new.idempotency_key, body_digest)
        )
        if known is None:
            raise
        return known
    if preview is None:
        leave_to_worker(request.pk)
    else:
        intake.carry_on(request.pk, preview)
    return Proposed(ActionRequest.objects.select_related("agent").get(pk=request.pk), False)


def _known(agent: Agent, idempotency_key: str, body_digest: str) -> Proposed | None:
    request = _OF_KEY.first(agent=agent.pk, key=idempotency_key)
    if request is None:
        return None
    if request.body_digest != body_digest:
        raise IdempotencyMismatch(_OTHER_BODY)
    claimed = request.intake_claimed_until
    if request.state == State.REQUESTED and claimed is not None:
        left = (claimed - db_clock.now()).total_seconds()
        if left > 0:
            raise StillRunning(_AT_IT, retry_after=ceil(left))
    return Proposed(request, True)


_OF_KEY = Prepared(
    lambda: (
        ActionRequest.objects.select_related("agent")
        .filter(agent=Given("agent"), idempotency_key=Given("key"))
        .order_by()  # there is one at most
    )
)


@contextmanager
def _key_held(agent: Agent, idempotency_key: str, body_digest: str) -> Iterator[None]:
    """Nobody else works on a proposal with this key meanwhile; a cache that is away holds nothing.

    Only the rows keep it from being opened twice. This spares the target a second read, and says
    at once to whoever asks again that the first is still being worked on.
    """
    name = f"intake:{agent.pk}:{digest(idempotency_key)}"
    if cache.add(name, body_digest, timeout=int(intake.CLAIM.total_seconds())) is False:
        if cache.get(name, body_digest) != body_digest:
            raise IdempotencyMismatch(_OTHER_BODY)
        raise StillRunning(_AT_IT, retry_after=ceil(READ_SECONDS))
    try:
        yield
    finally:
        cache.delete(name)


@transaction.atomic
def _store(new: NewRequest) -> ActionRequest:
    """Keep a proposal in `requested`, with what becomes of the request it replaces or undoes."""
    at = db_clock.now()
    request, moves = intake.begin(new, at)
    if new.supersedes is not None:
        _take_back(new.supersedes, request)  # holds counters: before the key is anybody's
    moves.write()
    keep_items(supplied_items(request, new.proposal.evidence, at=at))
    if new.compensates is not None:
        _link_undo(new.compensates, request, new.actor, at)
    return request


def _take_back(superseded: ActionRequest, by: ActionRequest) -> None:
    """What is replaced goes with the replacement's birth: never may both be approved."""
    old = ActionRequest.objects.locked(superseded.pk)
    if problems := list(irreplaceable(old)):  # by now
        raise InvalidProposal(problems)
    if old.state in ENDED_WITHOUT_EFFECT:
        return
    withdraw(old.pk, agent=by.agent, reason=f"Replaced by {by.pk}.")


def _link_undo(compensates: ActionRequest, undo: ActionRequest, actor: Actor, at: datetime) -> None:
    original = ActionRequest.objects.locked(compensates.pk)
    if original.state not in UNDOABLE:
        raise WrongState(f"Only a done action can be undone: this is {original.state}.")
    Compensation.objects.create(original=original, undo=undo, created_at=at)
    record(AuditCode.UNDO_PROPOSED, actor=actor, subject=original, data={"by": str(undo.pk)}, at=at)
