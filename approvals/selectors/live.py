"""Where a request stands right now, for pages that follow it: few look-ups, no lock, no waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from approvals.choices import ENDED, State
from approvals.inspection import reveal
from approvals.models import ActionRequest, Execution
from approvals.selectors.recall import why_not_recall
from approvals.selectors.requests import usable_grant_of
from audit.lib.dates import format_moment
from connectors.registry import is_by_agent, is_read_back
from policies.models import User

_STEPS = ("Approved", "Running", "Done", "Checked")
_REACHED = {
    State.APPROVED: 1,
    State.EXECUTING: 2,
    State.OUTCOME_UNKNOWN: 2,
    State.FAILED: 2,
    State.EXECUTED: 3,
    State.VERIFICATION_FAILED: 3,
    State.VERIFIED: 4,
    State.AUDITED: 4,
    State.COMPENSATED: 4,
}
_SETTLED = ENDED | {State.VERIFIED, State.VERIFICATION_FAILED}
"""Nothing more happens to it by itself."""
_WELL = frozenset({State.VERIFIED, State.AUDITED})
_BADLY = frozenset({State.FAILED, State.OUTCOME_UNKNOWN, State.VERIFICATION_FAILED, State.DENIED})


@dataclass(frozen=True, slots=True)
class LiveState:
    """What a page that follows it shows."""

    state: str
    version: int
    sentence: str
    tone: str  # "good", "loud" or "open"
    is_final: bool
    steps: tuple[tuple[str, bool], ...]
    """Each step of carrying it out, and whether it is reached; none while people decide."""
    recall_seconds: int | None
    """How long the viewer may still recall it; 0: until it begins; None: they may not."""


def live_state_of(request: ActionRequest, viewer: User, *, at: datetime) -> LiveState:
    """As the viewer may see it."""
    state = State(request.state)
    reached = _REACHED.get(state, 0)
    grant = usable_grant_of(request) if state == State.APPROVED else None
    recall: int | None = None
    if grant is not None and why_not_recall(grant, viewer, at=at) is None:
        until = grant.usable_from
        recall = 0 if grant.needs_start or until is None else _seconds(until, at)
    held = grant.usable_from if grant and grant.usable_from and grant.usable_from > at else None
    starts = bool(grant and grant.needs_start and grant.started_by_id is None)
    execution = request.executions.order_by("-id").first() if reached > 1 else None
    return LiveState(
        state=state.value,
        version=request.version,
        sentence=_sentence(request, execution, after=_after(held, at), starts=starts),
        tone="good" if state in _WELL else "loud" if state in _BADLY else "open",
        is_final=state in _SETTLED
        or state == State.PENDING_APPROVAL
        or (state == State.EXECUTED and _is_word(request, execution)),
        steps=tuple((name, reached > place) for place, name in enumerate(_STEPS))
        if reached
        else (),
        recall_seconds=recall,
    )


def _is_word(request: ActionRequest, execution: Execution | None) -> bool:
    """Whether somebody's word that it is done is all there will be."""
    reported = execution is not None and execution.redeemer != ""
    return reported or not is_read_back(request.action_type)


def _seconds(until: datetime, at: datetime) -> int:
    return max(int((until - at).total_seconds() + 0.999), 1)


def _after(held: datetime | None, at: datetime) -> str:
    """When it is carried out, where that can still be recalled; "" where it cannot."""
    if held is None:
        return ""
    soon = held - at <= timedelta(minutes=1)
    return "in a few seconds" if soon else f"after {format_moment(held)}, unless it is recalled"


def _sentence(
    request: ActionRequest, execution: Execution | None, *, after: str, starts: bool
) -> str:
    state, by_agent = State(request.state), is_by_agent(request.action_type)
    receipt = reveal(execution.receipt_reference) if execution else ""
    problem = reveal(execution.problem) if execution else ""
    match state:
        case State.PENDING_APPROVAL:
            return "People decide."
        case State.APPROVED if after and not by_agent:
            return f"Approved; carried out {after}."
        case State.APPROVED if starts:
            return "Approved; waits for somebody to start it."
        case State.APPROVED if by_agent:
            return "Approved; the agent may carry it out itself, once."
        case State.EXECUTING if by_agent:
            return "The agent carries it out itself; its report is waited for."
        case State.APPROVED:
            return "Approved; waits to be carried out."
        case State.EXECUTING:
            return "Being carried out."
        case State.EXECUTED if execution and execution.redeemer:
            return f"Reported by the agent, {receipt}; not verified."
        case State.EXECUTED if not is_read_back(request.action_type):
            return f"Done, says the tool, {receipt}; verification is not available."
        case State.EXECUTED:
            return f"Done, {receipt}; now it is checked." if receipt else "Done; being checked."
        case State.VERIFIED | State.AUDITED:
            return f"Done, {receipt}. Checked." if receipt else "Done, and checked."
        case State.FAILED:
            return f"Failed: {problem}"
        case State.OUTCOME_UNKNOWN:
            return f"Nobody knows yet whether it happened: {problem}"
        case State.VERIFICATION_FAILED:
            return "Done, but not as approved. Somebody has to look at it."
        case _:
            return f"{state.label.capitalize()}."
