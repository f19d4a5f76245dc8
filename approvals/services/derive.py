"""What a proposal really asks for: everything trusted, derived from params by the action type."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from approvals.exceptions import (
    FieldProblem,
    IntegrityBroken,
    InvalidProposal,
    NotAllowedForAgent,
)
from approvals.inspection import Flag, inspect_all, strings_in
from approvals.models import ActionRequest, Agent
from approvals.proposal import Proposal
from approvals.selectors.case import amount_of
from approvals.selectors.requests import action_of, proposal_of
from audit.actors import ActorKind
from audit.canonical import JsonObject, canonical, digest, digest_of
from audit.money import Money, MoneyError
from connectors.base import Action
from connectors.catalogue import ActionType
from connectors.params import validate_params
from connectors.registry import UnknownActionType, action_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One action as policy and people will judge it, stored or not."""

    type: ActionType
    params: JsonObject
    agent: Agent
    amount: Money | None
    target: str
    counterparty: str
    effect: str
    confidence: float | None
    flags: tuple[Flag, ...]
    request_id: UUID | None = None
    is_undo: bool = False

    @property
    def action(self) -> Action:
        return Action(type=self.type.key, params=self.params)

    @property
    def canonical_action(self) -> str:
        """The bytes everything later refers to by digest."""
        return canonical(
            {
                "action_type": self.type.key,
                "action_type_version": self.type.version,
                "params": self.params,
            }
        )

    @property
    def digest(self) -> str:
        return digest(self.canonical_action)

    @property
    def business_key(self) -> str:
        """Same thing to the same party for the same money, whatever key or wording it came with."""
        return digest_of(
            {
                "type": self.type.key,
                "target": self.target,
                "counterparty": self.counterparty,
                "amount": self.amount.decimal if self.amount else "",
                "currency": self.amount.currency if self.amount else "",
                # without money the rest of the params is what makes two actions the same
                "params": {} if self.amount else self.params,
            }
        )


def derive(proposal: Proposal, *, agent: Agent, undoes: ActionRequest | None = None) -> Candidate:
    """Judge the proposal's meaning.

    Raises InvalidProposal with every bad field, and NotAllowedForAgent when the type is not
    among the agent's.
    """
    kind = _registered(proposal.action_type)
    # undoing one's own action needs no right to the undoing type: the catalogue chose it
    if undoes is None and kind.key not in agent.action_types:
        raise NotAllowedForAgent(
            f"This agent may not propose {kind.key}.", code="action_not_allowed"
        )
    checked = check_params(kind, proposal.params)
    return Candidate(
        type=kind,
        params=proposal.params,
        agent=agent,
        confidence=proposal.confidence,
        flags=inspect_all([*proposal.texts, *strings_in(dict(proposal.params))]),
        is_undo=undoes is not None,
        amount=checked.amount,
        target=checked.target,
        counterparty=checked.counterparty,
        effect=checked.effect,
    )


def rederive(request: ActionRequest, params: JsonObject | None = None) -> Candidate:
    """The stored request's candidate; with other params, as it would be after that edit."""
    stored = action_of(request).params
    checked = check_params(action_type(request.action_type), stored if params is None else params)
    return _candidate(request, stored, stored if params is None else params, checked)


def as_stored(request: ActionRequest) -> Candidate:
    """The stored request's candidate as it was derived at birth, whatever its type accepts now."""
    stored = action_of(request).params
    checked = _Checked(amount_of(request), request.target, request.counterparty, request.effect)
    return _candidate(request, stored, stored, checked)


def demand_intact(request: ActionRequest) -> None:
    """The columns people and limits are judged by are what the sealed action says.

    Raises IntegrityBroken when somebody changed one behind our back.
    """
    kind, params = action_type(request.action_type), action_of(request).params
    try:
        derived = (kind.amount(params), kind.target(params), kind.counterparty(params))
    except MoneyError as error:
        raise IntegrityBroken(f"The amount of {request.pk} is no money: {error}") from None
    if derived != (amount_of(request), request.target, request.counterparty):
        raise IntegrityBroken(f"The columns of {request.pk} contradict its stored action.")


def _candidate(
    request: ActionRequest, stored: JsonObject, params: JsonObject, checked: _Checked
) -> Candidate:
    supplied = request.evidence.filter(origin="agent").values_list("flags", flat=True)
    said = proposal_of(request)
    answers = request.thread.filter(actor_kind=ActorKind.AGENT).values_list("body", flat=True)
    written = [said.intent, said.undo_note, request.on_behalf_of, *answers]
    texts = [*written, *strings_in(list(said.alternatives))]
    flags = {Flag(f) for item in supplied for f in item}
    flags.update(inspect_all([*texts, *strings_in(dict(stored))]))
    return Candidate(
        type=action_type(request.action_type),
        params=params,
        agent=request.agent,
        confidence=said.confidence,
        flags=tuple(sorted(flags)),
        request_id=request.pk,
        is_undo=request.compensates_id is not None,
        amount=checked.amount,
        target=checked.target,
        counterparty=checked.counterparty,
        effect=checked.effect,
    )


@dataclass(frozen=True, slots=True)
class _Checked:
    amount: Money | None
    target: str
    counterparty: str
    effect: str


def check_params(kind: ActionType, params: JsonObject) -> _Checked:
    """Everything the type derives from valid params. Raises InvalidProposal."""
    problems = [FieldProblem(e.path, e.message) for e in validate_params(kind, params)]
    if problems:
        raise InvalidProposal(problems)
    try:
        amount = kind.amount(params)
    except MoneyError as error:
        raise InvalidProposal([FieldProblem("params.amount", str(error))]) from None
    return _Checked(amount, kind.target(params), kind.counterparty(params), kind.effect(params))


def _registered(key: str) -> ActionType:
    try:
        return action_type(key)
    except UnknownActionType:
        raise InvalidProposal(
            [FieldProblem("action_type", "Unknown. GET /api/v1/action-types/ lists yours.")]
        ) from None
