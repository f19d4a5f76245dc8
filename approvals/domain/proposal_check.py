"""What is wrong with a proposal: everything at once, before its target is read.

The edge knows the shape of a message, the action type its params, and only we know the agent's
other requests and the time. Whoever corrects a proposal hears of all of it in one answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from approvals.choices import ENDED_WITHOUT_EFFECT, WITHDRAWABLE
from approvals.domain.derivation import Candidate, check_params, derive, offered, unregistered
from approvals.exceptions import FieldProblem, InvalidProposal, Paused
from approvals.models import ActionRequest, Agent
from approvals.proposal import Proposal, ReadableParts
from approvals.selectors.pauses import what_stops
from audit.lib import db_clock
from audit.lib.canonical import JsonObject

_KEY_SHOWN = 60
"""Characters of an unknown key that a path repeats."""


@dataclass(frozen=True, slots=True)
class CheckedProposal:
    """What a proposal means, and the request it replaces."""

    candidate: Candidate
    supersedes: ActionRequest | None


def check_proposal(
    proposal: Proposal,
    *,
    agent: Agent,
    compensates: ActionRequest | None = None,
    by_person: bool = False,
) -> CheckedProposal:
    """Whether the proposal can be taken in now. Nothing is locked, and nobody called.

    Raises InvalidProposal with every bad field in the order they were sent, NotAllowedForAgent,
    and Paused where a pause covers it.
    """
    superseded = _own(proposal.supersedes, agent)
    problems = [*_replacing_nobody(proposal, superseded), *_overdue(proposal)]
    try:
        candidate = derive(proposal, agent=agent, undoes=compensates)
    except InvalidProposal as error:
        raise InvalidProposal(in_order_sent([*error.problems, *problems], proposal.body)) from None
    kind = candidate.type
    stop = what_stops(kind.key, kind.system, agent, by_person=by_person)
    if stop is not None:
        said = stop.for_people if by_person else stop.for_agents
        raise Paused(said, resumed_by=stop.resumed_by)
    if problems:
        raise InvalidProposal(in_order_sent(problems, proposal.body))
    if superseded is not None and not candidate.chain:
        candidate = replace(candidate, chain=superseded.chain)
    return CheckedProposal(candidate, superseded)


def problems_with(parts: ReadableParts, *, agent: Agent) -> list[FieldProblem]:
    """What is wrong with the parts that could be read of a message whose shape is wrong."""
    return [
        *_problems_with_action(parts, agent),
        *unregistered(parts.callback_url, agent),
        *_replacing_nobody(parts, _own(parts.supersedes, agent)),
        *_overdue(parts),
    ]


def _problems_with_action(parts: ReadableParts, agent: Agent) -> Iterable[FieldProblem]:
    try:
        kind = offered(parts.action_type) if parts.action_type else None
        # what it may not propose is refused as such, once the message can be read
        if kind is not None and parts.params is not None and kind.key in agent.action_types:
            check_params(kind, parts.params)
    except InvalidProposal as error:
        return error.problems
    return ()


def in_past(decide_by: datetime | None, at: datetime) -> Iterator[FieldProblem]:
    """Nobody can decide by a moment that has passed."""
    if decide_by is not None and decide_by <= at:
        yield FieldProblem("decide_by", "Must lie in the future.")


def irreplaceable(request: ActionRequest) -> Iterator[FieldProblem]:
    """Why its agent cannot replace that request. Certain only while it is locked."""
    if request.requested_by_id is not None:
        yield FieldProblem("supersedes", "A person opened that request; you cannot replace it.")
    elif request.state not in ENDED_WITHOUT_EFFECT | WITHDRAWABLE:
        yield FieldProblem("supersedes", f"It cannot be replaced any more: it is {request.state}.")


def _own(request_id: UUID | None, agent: Agent) -> ActionRequest | None:
    if request_id is None:
        return None
    return ActionRequest.objects.filter(pk=request_id, agent=agent).first()


def _replacing_nobody(
    message: Proposal | ReadableParts, superseded: ActionRequest | None
) -> Iterator[FieldProblem]:
    if superseded is not None:
        yield from irreplaceable(superseded)
    elif message.supersedes is not None:
        yield FieldProblem("supersedes", "There is no such request of yours.")


def _overdue(message: Proposal | ReadableParts) -> Iterator[FieldProblem]:
    if message.decide_by is not None:
        yield from in_past(message.decide_by, db_clock.now())


def in_order_sent(problems: Iterable[FieldProblem], body: JsonObject) -> tuple[FieldProblem, ...]:
    """Each once, by the place of its field and param in the message; what is missing comes last."""
    places: dict[str, int] = {}
    for name, value in body.items():
        places[name[:_KEY_SHOWN]] = len(places)
        for inner in value if isinstance(value, Mapping) else ():
            places[f"{name[:_KEY_SHOWN]}.{inner[:_KEY_SHOWN]}"] = len(places)

    def place(problem: FieldProblem) -> tuple[int, int]:
        field, *inner = problem.field.split(".", 2)
        path = ".".join((field, *inner[:1]))
        return places.get(field, len(places)), places.get(path, len(places))

    return tuple(sorted(dict.fromkeys(problems), key=place))
