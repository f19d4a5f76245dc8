"""Moving a request along its graph: transition, event and history row, in one place."""

from __future__ import annotations

from collections.abc import Callable

from approvals.choices import ENDED_WITHOUT_EFFECT
from approvals.lifecycle import LEADS_TO
from approvals.models import ActionRequest
from approvals.selectors import clock
from approvals.services import velocity
from audit.actors import Actor
from audit.canonical import JsonObject
from audit.events import AuditCode
from audit.services import record, save_with_history

POLICY = Actor.system("policy")
INTAKE = Actor.system("intake")
EXECUTOR = Actor.system("executor")
VERIFIER = Actor.system("verifier")
CLOCKS = Actor.system("clocks")


def demand_own_code(code: AuditCode, state: str) -> None:
    """One code means one move: whoever reads the codes alone finds the state. Raises ValueError."""
    if LEADS_TO.get(code) != state:
        raise ValueError(f"{code} is not the event of a move to {state}.")


def move(
    request: ActionRequest,
    transition: Callable[[], None],
    code: AuditCode,
    *,
    actor: Actor,
    data: JsonObject | None = None,
) -> None:
    """Fire one transition of a locked request, record it and save it with its history row.

    The event goes first: the database refuses a state that is not on record. What ends without
    effect counts towards nothing any more.
    """
    transition()
    demand_own_code(code, request.state)
    request.updated_at = clock.now()
    if request.state in ENDED_WITHOUT_EFFECT:
        velocity.take_out(request, at=request.updated_at)
    record(code, actor=actor, subject=request, data=data)
    save_with_history(request, actor=actor, reason=code.value)
