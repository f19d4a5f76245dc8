"""Proposing to undo a done effect: a new request like any other, linked to the old one."""

from __future__ import annotations

from uuid import UUID

from approvals.choices import UNDOABLE
from approvals.exceptions import NotAuthorised, NotReversible, WrongState
from approvals.models import ActionRequest
from approvals.proposal import Proposal, Signature
from approvals.selectors.authority import may_conclude
from approvals.selectors.requests import action_of, active_undo_of, latest_execution_of
from approvals.services.propose import Proposed, propose
from approvals.services.verify import stored_receipt
from audit.lib.canonical import JsonObject
from connectors.base import Action, ConnectorError, OutcomeUnknown
from connectors.connections import route_of
from connectors.registry import action_type, connector_for
from policies.models import User


def propose_undo(
    request_id: UUID,
    *,
    idempotency_key: str = "",
    reason: str = "",
    person: User | None = None,
    for_plan: bool = False,
    signature: Signature | None = None,
) -> Proposed:
    """Open the request that would undo this one, or answer the one already open.

    Asked for by its agent, by a `person`, or by the plan it was a step of. Done once: while an
    undo is open or done there is no second. Raises WrongState before anything is done,
    NotReversible when nothing undoes it, and NotAuthorised when a person asks who could not have
    decided on it.
    """
    original = ActionRequest.objects.select_related("agent", "agent__owner").get(pk=request_id)
    if person is not None and not may_conclude(person, original):
        raise NotAuthorised("Undoing is proposed by people who may decide on this.")
    open_undo = active_undo_of(original)
    if open_undo is not None:
        return Proposed(open_undo, replayed=True)
    action = _undoing(original)
    attempt = original.compensations.count() + 1
    body: JsonObject = {
        "action_type": action.type,
        "params": action.params,
        "intent": f"Undo {original.effect}" + (f" Reason: {reason}" if reason else ""),
        "undoes": str(original.pk),
        "reason": reason,
        "asked_by": "person" if person is not None else "plan" if for_plan else "agent",
        "attempt": attempt,
    }
    return propose(
        Proposal(
            action_type=action.type,
            params=action.params,
            body=body,
            intent=str(body["intent"]),
            session=original.session,
            signature=signature,
        ),
        agent=original.agent,
        idempotency_key=idempotency_key or _own_key(original, attempt, person),
        compensates=original,
        requested_by=person,
    )


def _own_key(original: ActionRequest, attempt: int, person: User | None) -> str:
    """A key with spaces, which the API takes from nobody: no agent can have used it before."""
    by = f"person {person.pk}" if person is not None else "agent"
    return f"undo {attempt} of {original.pk} by {by}"


def _undoing(original: ActionRequest) -> Action:
    kind = action_type(original.action_type)
    execution = latest_execution_of(original)
    if original.state not in UNDOABLE or execution is None or not execution.receipt:
        raise WrongState(f"Only a done action can be undone: this is {original.state}.")
    if not kind.undo_type:
        raise NotReversible(f"This cannot be undone. {kind.undo}")
    connector = connector_for(kind, execution.connection)
    try:
        action = connector.compensate(action_of(original), stored_receipt(execution))
    except (ConnectorError, OutcomeUnknown) as error:
        raise NotReversible(f"This cannot be undone: {error}") from None
    _demand_same_connection(execution.connection, action)
    return action


def _demand_same_connection(reference: str, undo: Action) -> None:
    """In another account the effect is not there, or is somebody else's."""
    done_through = reference.partition("@")[0]
    route = route_of(undo.type, action_type(undo.type).system)
    if done_through and route is not None and route.name != done_through:
        raise NotReversible(
            f"It was done through the connection {done_through}, and undoing it would go through "
            f"{route.name}. An ops admin binds {undo.type} to {done_through} first."
        )
