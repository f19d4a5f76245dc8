"""A proposal on its way to policy or to people, from top to bottom.

The target has been read before, with no transaction open: `preview` is what it said. Then one
transaction counts the proposal under locks, evaluates policy, moves the request in memory to
where it comes to rest, and writes every row once. A proposal whose target answers in time is
born there (`open_at_once`); one that waited in `requested` for a slow target is carried on
from there (`carry_on`). Both write the same rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from django.db import DatabaseError, DataError, transaction
from django.db.models import Model

from approvals.choices import State
from approvals.domain import auto_pause, compensation, dispatch, notifications, reminders
from approvals.domain.derivation import Candidate
from approvals.domain.evidence import new_reading, supplied_items, system_items
from approvals.domain.grants import entry_of, new_grant
from approvals.domain.policy_check import PolicyCheck, check_policy_and_count, check_policy_of
from approvals.domain.proposal_check import in_past
from approvals.domain.routing import new_policy_decision, new_requirements
from approvals.domain.transitions import INTAKE, POLICY, Moves
from approvals.exceptions import ApprovalError, InvalidProposal, Paused
from approvals.models import (
    ActionRequest,
    Agent,
    EvidenceItem,
    Grant,
    Plan,
    PolicyDecision,
    RequestContent,
    Requirement,
)
from approvals.proposal import Proposal
from approvals.selectors.pauses import stop_of_agent
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject, canonical, digest
from audit.lib.prepared import Given, NextKeys, Prepared, asked_together
from audit.services import Entry
from connectors.base import Preview
from policies.models import User
from policies.services import shadow
from policies.verdicts import Evaluation, Verdict

logger = logging.getLogger(__name__)
T = TypeVar("T")

CLAIM = timedelta(seconds=30)
"""How long one process has the intake of a request to itself."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A request that was just born and carried on, with the rows its answer is made of."""

    request: ActionRequest
    decision: PolicyDecision
    requirements: Sequence[Requirement]
    """By stage."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a request is made from: the candidate, and the proposal it was derived from."""

    candidate: Candidate
    proposal: Proposal
    idempotency_key: str
    compensates: ActionRequest | None = None
    supersedes: ActionRequest | None = None
    requested_by: User | None = None
    plan: Plan | None = None
    step: int | None = None

    @property
    def stands_alone(self) -> bool:
        """Whether no other request changes with it: others are locked before the counters."""
        return self.compensates is None and self.supersedes is None

    @property
    def actor(self) -> Actor:
        if self.requested_by is not None:
            return Actor.human(self.requested_by)
        return Actor.agent(self.candidate.agent)


def open_at_once(new: NewRequest, preview: Preview) -> Opened:
    """Store a proposal whose target has been read, in the state it comes to rest in."""
    opened = without_what_cannot_be_used(preview, partial(_open, new))
    stop_if_looping(opened.request)
    return opened


def open_steps(steps: Sequence[tuple[NewRequest, Preview]]) -> list[Opened]:
    """Store the steps of a plan, in the caller's transaction: all of them or none.

    Afterwards, outside it, the caller stops an agent that loops (`stop_if_looping`).
    """
    return [without_what_cannot_be_used(preview, partial(_open, new)) for new, preview in steps]


def carry_on(request_id: UUID, preview: Preview) -> None:
    """Carry a stored request on from `requested`; does nothing to any other."""
    opened = without_what_cannot_be_used(preview, partial(_carry_on, request_id))
    if opened is not None:
        stop_if_looping(opened.request)


def without_what_cannot_be_used(preview: Preview, take_in: Callable[[Preview], T]) -> T:
    """Take it in on that reading; on none at all when nothing can be made of it.

    What an adapter returns may be unfit to be stored or evaluated (a value that is no JSON, a
    version too long for its column, a fact nobody declared). Then people get the request without
    it, instead of nobody at all.
    """
    try:
        return take_in(preview)
    except Exception as error:
        is_ours = isinstance(error, DatabaseError) and not isinstance(error, DataError)
        if preview.unavailable or is_ours or isinstance(error, ApprovalError):
            raise  # says nothing about the reading
        logger.exception("reading cannot be used")
        sentence = "What the target system answered could not be used, by a mistake of ours."
        return take_in(Preview(unavailable=sentence))


@transaction.atomic
def _open(new: NewRequest, preview: Preview) -> Opened:
    asked = _AGENT.asking(pk=new.candidate.agent.pk)
    keys = NextKeys(PolicyDecision, Grant)
    with asked_together(asked, keys) as at:
        (agent,) = asked.all()
        drawn = keys.drawn()
    if agent.is_paused and new.requested_by is None:  # while its target was being read
        raise Paused((stop := stop_of_agent(agent)).for_agents, resumed_by=stop.resumed_by)
    request, moves = begin(new, at, drawn)
    request.agent = agent  # as it is now; on record is who owned it when the proposal came in
    candidate = replace(new.candidate, agent=agent, request_id=request.pk)
    supplied = supplied_items(request, new.proposal.evidence, at=at)
    system = system_items(request, preview, after=len(supplied), at=at)
    evidence = [*supplied, *system]
    moves.store(*evidence)
    moves.store(new_reading(request, preview, at=at))
    evaluated = check_policy_and_count(request, candidate, preview, now=at, write=moves.together)
    return _decide(moves, evaluated, preview, evidence)


_AGENT = Prepared(lambda: Agent.objects.select_related("owner").filter(pk=Given("pk")))


@transaction.atomic
def _carry_on(request_id: UUID, preview: Preview) -> Opened | None:
    found = ActionRequest.objects.select_for_update(of=("self",), no_key=True)
    request = found.select_related("agent__owner").get(pk=request_id)
    if request.state != State.REQUESTED:
        return None
    moves = Moves(request, at := db_clock.now())
    supplied = list(request.evidence.filter(version=request.version).order_by("position"))
    system = system_items(request, preview, after=len(supplied), at=at)
    moves.store(*system)
    moves.store(new_reading(request, preview, at=at))
    evaluated = check_policy_of(request, preview, now=at, counting=moves.together)
    return _decide(moves, evaluated, preview, [*supplied, *system])


def stop_if_looping(request: ActionRequest) -> None:
    """Pause the agent of a request policy denied, if it has been told no often enough.

    After the transaction that denied it: agents are locked before counters.
    """
    if request.state != State.DENIED:
        return
    try:
        with transaction.atomic():
            locked = ActionRequest.objects.locked(request.pk)
            auto_pause.lock_agent(locked)
            auto_pause.pause_if_looping(locked, at=db_clock.now())
    except DatabaseError:
        # the denial stands and is answered; the next one of the same thing pauses
        logger.exception("agent not paused", extra={"action_id": str(request.pk)})


def begin(
    new: NewRequest, at: datetime, keys: dict[type[Model], int] | None = None
) -> tuple[ActionRequest, Moves]:
    """The request in memory, with its first event, history row and content noted."""
    candidate, proposal = new.candidate, new.proposal
    _demand_time_to_decide(proposal, at)
    kind, amount = candidate.type, candidate.amount
    body, signature = canonical(proposal.body), proposal.signature
    request = ActionRequest(
        agent=candidate.agent,
        on_behalf_of=proposal.on_behalf_of,
        requested_by=new.requested_by,
        session=proposal.session,
        chain=candidate.chain,
        plan=new.plan,
        step=new.step,
        idempotency_key=new.idempotency_key,
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
        decide_by=proposal.decide_by,
        intake_claimed_until=at + CLAIM,
        compensates=new.compensates,
        supersedes=new.supersedes,
        created_at=at,
        updated_at=at,
    )
    moves = Moves(request, at, keys or {})
    moves.note(
        AuditCode.REQUESTED,
        new.actor,
        {
            "action_type": kind.key,
            "digest": request.digest,
            "body_digest": request.body_digest,
            "on_behalf_of": proposal.on_behalf_of,
            "agent": candidate.agent.name,
            "owner": candidate.agent.owner_id,
            "agent_seq": candidate.agent.audit_seq,
            **({"signature": signature.data} if signature is not None else {}),
            **({"plan": str(new.plan.pk), "step": new.step} if new.plan is not None else {}),
        },
        kind="+",
    )
    moves.store(
        RequestContent(
            request=request,
            version=1,
            action=candidate.canonical_action,
            digest=candidate.digest,
            proposal=body,
            signed_with=signature.key_id if signature is not None else "",
            signed_body=signature.body if signature is not None else "",
            created_at=at,
        )
    )
    return request, moves


def _demand_time_to_decide(proposal: Proposal, at: datetime) -> None:
    """Raise InvalidProposal when the agent wants a decision by a moment that has passed."""
    if problems := list(in_past(proposal.decide_by, at)):
        raise InvalidProposal(problems)


def _decide(
    moves: Moves,
    evaluated: PolicyCheck,
    preview: Preview,
    evidence: Sequence[EvidenceItem],
) -> Opened:
    """Move the request to where policy wants it, and write it with all that says why."""
    request, evaluation, at = moves.request, evaluated.evaluation, moves.at
    decision = moves.store_keyed(
        new_policy_decision(
            request,
            evaluated.policy,
            evaluation,
            evaluated.facts,
            purpose=PolicyDecision.Purpose.INTAKE,
            at=at,
        )
    )
    shadow.observe(
        facts=evaluated.facts,
        evaluation=evaluation,
        subject_id=str(request.pk),
        action_type=request.action_type,
        amount_base=request.amount_base,
        at=at,
    )
    moves.take(
        request.classify,
        AuditCode.CLASSIFIED,
        INTAKE,
        {
            "action_type": request.action_type,
            "target": request.target,
            "digest": request.digest,
            **({"chain": request.chain} if request.chain else {}),
        },
    )
    moves.take(
        request.collect,
        AuditCode.EVIDENCE_COLLECTED,
        INTAKE,
        {
            "items": len(evidence),
            "digests": [item.sha256 for item in evidence],
            "target_version": preview.target_version,
            "unavailable": bool(preview.unavailable),
        },
    )
    request.risk_tier, request.verdict = evaluation.tier, evaluation.verdict.value
    moves.take(
        request.check_policy,
        AuditCode.POLICY_CHECKED,
        POLICY,
        {
            "policy": evaluation.version,
            "policy_decision": decision.pk,
            "verdict": evaluation.verdict.value,
            "tier": evaluation.tier,
            "matched": [rule.rule for rule in evaluation.matched],
            **({"floor": evaluation.floor} if evaluation.floor else {}),
        },
    )
    request.intake_claimed_until = None
    match evaluation.verdict:
        case Verdict.DENY:
            requirements = _deny(moves, evaluation)
        case Verdict.ALLOW:
            requirements = _allow(moves, evaluation, decision, preview)
        case _:
            requirements = _route(moves, evaluation, decision)
    return Opened(request, decision, requirements)


def _deny(moves: Moves, evaluation: Evaluation) -> list[Requirement]:
    request = moves.request
    moves.take(request.deny, AuditCode.DENIED, POLICY, {"reason": list(evaluation.denied_by)})
    moves.write()
    if request.compensates_id is not None:
        compensation.end_undo(request)
    notifications.ended(request)
    return []


def _allow(
    moves: Moves, evaluation: Evaluation, decision: PolicyDecision, preview: Preview
) -> list[Requirement]:
    request, at = moves.request, moves.at
    request.decide_by = None
    request.execute_by = at + evaluation.deadlines.execute_by
    moves.take(request.allow, AuditCode.ALLOWED, POLICY, {"policy": evaluation.version})
    grant = new_grant(
        request,
        target_version=preview.target_version,
        guard=preview.guard,
        connection=preview.connection,
        approvers=[],
        window=evaluation.window,
        expires_at=request.execute_by,
        at=at,
    )
    moves.also(entry_of(moves.store_keyed(grant), actor=POLICY))
    _note_standing(moves, evaluation, decision)
    moves.write()
    dispatch.execution_of(request.pk)
    return []


def _route(moves: Moves, evaluation: Evaluation, decision: PolicyDecision) -> list[Requirement]:
    request, at = moves.request, moves.at
    request.decide_by = decide_by_of(evaluation, asked=request.decide_by, at=at)
    reminders.start(request, at=at)
    requirements = new_requirements(request, evaluation.requirements)
    moves.store(*requirements)
    groups = sorted({r.group for r in requirements})
    moves.take(request.route, AuditCode.ROUTED, POLICY, {"groups": list(groups)})
    _note_standing(moves, evaluation, decision)
    moves.write()
    dispatch.announcement_of(request.pk)
    return sorted(requirements, key=lambda requirement: (requirement.stage, requirement.pk))


def decide_by_of(evaluation: Evaluation, *, asked: datetime | None, at: datetime) -> datetime:
    """Until when people have time: as policy says, or earlier where the agent asked for it."""
    ceiling = at + evaluation.deadlines.decide_by
    return min(asked, ceiling) if asked else ceiling


def _note_standing(moves: Moves, evaluation: Evaluation, decision: PolicyDecision) -> None:
    told: JsonObject = {"policy": evaluation.version, "policy_decision": decision.pk}
    for rule in evaluation.standing:
        data: JsonObject = {"rule": rule, **told}
        moves.also(Entry(AuditCode.STANDING_APPROVAL_USED, POLICY, data=data))
