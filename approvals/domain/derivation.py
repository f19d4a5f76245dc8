"""What a proposal really asks for: everything trusted, derived from params by the action type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from approvals.choices import Origin
from approvals.exceptions import FieldProblem, IntegrityBroken, InvalidProposal, NotAllowedForAgent
from approvals.inspection import Flag, contradicts, inspect_all, strings_in
from approvals.models import ActionRequest, Agent, EvidenceItem, RequestContent
from approvals.proposal import Proposal, SuppliedEvidence
from approvals.selectors.case import amount_of
from approvals.selectors.chains import chain_key
from approvals.selectors.evidence_gaps import CLARIFICATION, counts
from approvals.selectors.requests import (
    action_of,
    content_of,
    contents_of,
    evidence_of_all_versions,
    thread_of,
)
from approvals.selectors.webhooks import is_registered
from audit.actors import ActorKind
from audit.lib.canonical import JsonObject, canonical, digest, digest_of
from audit.lib.money import Money, MoneyError
from connectors.base import Action
from connectors.catalogue import ActionType
from connectors.params import validate_params
from connectors.registry import UnknownActionType, action_type, offered_action_type
from policies.facts import PlanFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One action as policy and people will look at it, stored or not."""

    type: ActionType
    params: JsonObject
    agent: Agent
    amount: Money | None
    target: str
    counterparty: str
    effect: str
    confidence: float | None
    flags: tuple[Flag, ...]
    sources: tuple[SuppliedEvidence, ...] = ()
    """What the agent points to."""
    supplied: Mapping[str, datetime | None] = field(default_factory=dict)
    """The kinds of these that may be what policy demands, and from when; None: from now."""
    from_people: Mapping[str, datetime | None] = field(default_factory=dict)
    """The same of what colleagues supplied."""
    model: Mapping[str, str] = field(default_factory=dict)
    """Which model and prompt the agent says it used."""
    on_behalf_of: str = ""
    chain: str = ""
    """Which requests it is judged together with; empty: it named no session."""
    plan: PlanFacts = field(default_factory=PlanFacts)
    """What rules may ask about the plan it is a step of."""
    plan_id: UUID | None = None
    request_id: UUID | None = None
    is_undo: bool = False
    signed: bool = False
    """Its agent signed the message it came in."""

    @property
    def action(self) -> Action:
        return Action(type=self.type.key, params=self.params)

    @property
    def canonical_action(self) -> str:
        """The bytes everything later refers to by digest."""
        action: JsonObject = {
            "action_type": self.type.key,
            "action_type_version": self.type.version,
            "params": self.params,
        }
        definition = self.type.definition
        return canonical({**action, "definition": definition} if definition else action)

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
    """Work out what the proposal means.

    Raises InvalidProposal with every bad field, and NotAllowedForAgent when the type is not
    among the agent's.
    """
    problems = list(unregistered(proposal.callback_url, agent))
    try:
        kind = offered(proposal.action_type)
        # undoing one's own action needs no right to the undoing type: the catalogue chose it
        if undoes is None and kind.key not in agent.action_types:
            raise NotAllowedForAgent(
                f"This agent may not propose {kind.key}.", code="action_not_allowed"
            )
        checked = check_params(kind, proposal.params)
    except InvalidProposal as error:
        raise InvalidProposal([*error.problems, *problems]) from None
    if problems:
        raise InvalidProposal(problems)
    found = [(source, inspect_all(source.texts)) for source in proposal.evidence]
    flags = {flag for _, flags_of_one in found for flag in flags_of_one}
    flags.update(
        _flags(
            proposal.intent,
            proposal.body,
            proposal.params,
            [proposal.on_behalf_of],
            amount=checked.amount,
            sources=proposal.evidence,
        )
    )
    return Candidate(
        type=kind,
        params=proposal.params,
        agent=agent,
        confidence=proposal.confidence,
        model=proposal.model,
        flags=tuple(sorted(flags)),
        sources=proposal.evidence,
        supplied={
            source.kind: source.retrieved_at
            for source, odd in found
            if not odd and (source.excerpt or source.uri) and source.kind != CLARIFICATION
        },
        on_behalf_of=proposal.on_behalf_of,
        chain=chain_key(agent, proposal.session),
        is_undo=undoes is not None,
        signed=proposal.signature is not None,
        amount=checked.amount,
        target=checked.target,
        counterparty=checked.counterparty,
        effect=checked.effect,
    )


def unregistered(callback_url: str, agent: Agent) -> Iterator[FieldProblem]:
    """An agent is called at its registered endpoints only."""
    if callback_url and not is_registered(agent, callback_url):
        yield FieldProblem("callback_url", "This is not one of your registered endpoints.")


def rederive(request: ActionRequest, params: JsonObject | None = None) -> Candidate:
    """The stored request's candidate; with other params, as it would be after that edit."""
    content = content_of(request)
    stored = _params(content)
    checked = check_params(action_type(request.action_type), stored if params is None else params)
    return _candidate(request, content, stored if params is None else params, checked)


def as_stored(request: ActionRequest) -> Candidate:
    """The stored request's candidate as it was derived at birth, whatever its type accepts now."""
    content = content_of(request)
    checked = _Checked(amount_of(request), request.target, request.counterparty, request.effect)
    return _candidate(request, content, _params(content), checked)


def as_defined_now(action: str) -> str:
    """The stored action, under today's definition of its type: what sending it back makes of it."""
    stored: JsonObject = json.loads(action)
    definition = action_type(str(stored["action_type"])).definition
    return canonical({**stored, "definition": definition}) if definition else action


def demand_intact(request: ActionRequest) -> None:
    """The columns people and limits are held against are what the stored action says.

    Raises IntegrityBroken when somebody changed one behind our back.
    """
    kind, params = action_type(request.action_type), action_of(request).params
    try:
        derived = (kind.amount(params), kind.target(params), kind.counterparty(params))
    except MoneyError as error:
        raise IntegrityBroken(f"The amount of {request.pk} is no money: {error}") from None
    if derived != (amount_of(request), request.target, request.counterparty):
        raise IntegrityBroken(f"The columns of {request.pk} contradict its stored action.")


def _params(content: RequestContent) -> JsonObject:
    params: JsonObject = json.loads(content.action)["params"]
    return params


def _candidate(
    request: ActionRequest, content: RequestContent, params: JsonObject, checked: _Checked
) -> Candidate:
    """With `params`, which may be another version's than `content`, the current one."""
    all_items = evidence_of_all_versions(request)
    current = [
        item
        for item in all_items
        if item.version == request.version and counts(item, request=request)
    ]
    items = [item for item in all_items if item.origin == Origin.AGENT]
    sources = tuple(_source(item) for item in items if item.version == request.version)
    first = content if content.version == 1 else contents_of(request)[0]
    body = json.loads(first.proposal)
    answers = [e.body for e in thread_of(request) if e.actor_kind == ActorKind.AGENT]
    flags = {Flag(f) for item in items for f in item.flags}
    flags.update(
        _flags(
            str(body.get("intent", "")),
            body,
            _params(content),
            [request.on_behalf_of, *answers],
            amount=_proposed_amount(request, body),
            sources=sources,
        )
    )
    return Candidate(
        type=action_type(request.action_type),
        params=params,
        agent=request.agent,
        confidence=body.get("confidence"),
        model=body.get("model") or {},
        flags=tuple(sorted(flags)),
        sources=sources,
        supplied=_dated(item for item in current if item.origin == Origin.AGENT),
        from_people=_dated(item for item in current if item.origin == Origin.PERSON),
        on_behalf_of=request.on_behalf_of,
        chain=request.chain,
        plan=plan_of(request),
        plan_id=request.plan_id,
        request_id=request.pk,
        is_undo=request.compensates_id is not None,
        signed=first.signed_with != "",
        amount=checked.amount,
        target=checked.target,
        counterparty=checked.counterparty,
        effect=checked.effect,
    )


def plan_of(request: ActionRequest) -> PlanFacts:
    """What rules may ask about the plan a stored request is a step of."""
    plan, step = request.plan, request.step
    return plan.facts_of_step(step) if plan is not None and step is not None else PlanFacts()


def _dated(items: Iterable[EvidenceItem]) -> dict[str, datetime | None]:
    dated: dict[str, datetime | None] = {}
    for item in items:
        when, known = item.retrieved_at or item.created_at, dated.get(item.kind)
        dated[item.kind] = max(when, known) if known else when
    return dated


def _source(item: EvidenceItem) -> SuppliedEvidence:
    return SuppliedEvidence(
        kind=item.kind,
        title=item.title,
        uri=item.uri,
        retrieved_at=item.retrieved_at,
        authority=item.authority,
        excerpt=item.body,
    )


def _proposed_amount(request: ActionRequest, body: JsonObject) -> Money | None:
    params = body.get("params")
    try:
        return action_type(request.action_type).amount(params if isinstance(params, dict) else {})
    except MoneyError:
        return amount_of(request)


def _flags(
    intent: str,
    body: JsonObject,
    params: JsonObject,
    texts: Iterable[str],
    *,
    amount: Money | None,
    sources: Iterable[SuppliedEvidence],
) -> set[Flag]:
    """What the detectors find in what the agent wrote: its message, `params` and further `texts`.

    Contradictions are held against what the agent proposed: a reviewer who corrects it contradicts
    nobody.
    """
    written = [intent, str(body.get("undo_note", "")), *strings_in(body.get("alternatives"))]
    found = set(inspect_all([*written, *texts, *strings_in(dict(params))]))
    said = [intent, *strings_in(body.get("params"))]
    return found | _contradictions(amount, said, sources)


def _contradictions(
    amount: Money | None, said: Iterable[str], sources: Iterable[SuppliedEvidence]
) -> set[Flag]:
    """Words about other money than the params move, or sources that deny each other."""
    known = tuple(sources)
    quoted = [text for source in known for text in (source.title, source.excerpt)]
    if amount is not None and contradicts(amount, said=said, sources=quoted):
        return {Flag.CONTRADICTION}
    return {Flag.CONTRADICTION} if _conflict(known) else set()


def _conflict(sources: Iterable[SuppliedEvidence]) -> bool:
    """Do two of them quote the same thing differently: one address, or one title and none?"""
    excerpts: dict[tuple[str, str], str] = {}
    for source in sources:
        if source.excerpt:
            name = (source.kind, source.uri or source.title)
            if excerpts.setdefault(name, source.excerpt) != source.excerpt:
                return True
    return False


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
    return _Checked(
        kind.amount(params), kind.target(params), kind.counterparty(params), kind.effect(params)
    )


def offered(key: str) -> ActionType:
    """The action type of that key. Raises InvalidProposal where none is offered here."""
    try:
        return offered_action_type(key)
    except UnknownActionType:
        raise InvalidProposal(
            [FieldProblem("action_type", "Unknown. GET /api/v1/action-types/ lists yours.")]
        ) from None
