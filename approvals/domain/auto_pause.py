"""Rejections that teach: what was said reaches the agent, and one that never learns is stopped."""

from __future__ import annotations

from datetime import datetime

from approvals.choices import State
from approvals.domain import notifications
from approvals.domain.derivation import Candidate
from approvals.models import ActionRequest, Agent
from approvals.selectors.prior_requests import DAY, last_rejection_of
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.dates import format_moment
from audit.selectors import events_of
from audit.services import record, save_with_history

AUTO_PAUSE = Actor.system("loop counter")

MOST_REFUSALS = 3
"""So often may one agent be told no to the same thing in 24 hours; with the last it is paused."""


def rejection_note_for(candidate: Candidate, *, at: datetime) -> str:
    """What the person said who last rejected exactly this; empty when nobody did.

    The words go only to the agent they were written for; another learns the reason's code.
    """
    last = last_rejection_of(candidate.business_key, candidate.digest, at=at)
    if last is None:
        return ""
    said = f"A person rejected exactly this on {format_moment(last.created_at)}"
    said += f" ({last.reason_code})" if last.reason_code else ""
    if last.comment.strip() and last.request.agent_id == candidate.agent.pk:
        said += f': "{last.comment.strip()}"'
    return f"{said} Change what was wrong, or leave it."


def lock_agent(request: ActionRequest) -> None:
    """Lock the agent as it is now, after the request and before any counter: it may be paused."""
    held = Agent.objects.select_for_update(no_key=True, of=("self",)).select_related("owner")
    request.agent = held.get(pk=request.agent_id)


def pause_if_looping(request: ActionRequest, *, at: datetime) -> None:
    """Pause the agent whose request was just refused, when it has been told no often enough.

    The caller has locked the request and then its agent, before any counter. A resumed agent
    starts over; what a person opened is nobody's loop.
    """
    agent = request.agent
    if agent.is_paused or request.requested_by_id is not None:
        return
    refused = ActionRequest.objects.filter(
        agent=agent,
        business_key=request.business_key,
        state__in=[State.DENIED, State.REJECTED],
        created_at__gte=at - DAY,
    )
    if refused.count() < MOST_REFUSALS:
        return
    resumed = events_of(agent).filter(code=AuditCode.AGENT_RESUMED).last()
    if resumed is not None and refused.filter(created_at__gte=resumed.at).count() < MOST_REFUSALS:
        return
    pause(
        agent,
        actor=AUTO_PAUSE,
        reason=f"Told no {MOST_REFUSALS} times in 24 hours and proposed the same again.",
        at=at,
    )
    notifications.agent_paused(request)


def pause(agent: Agent, *, actor: Actor, reason: str, at: datetime) -> None:
    """Stop a locked agent: nothing new is taken, nothing approved for it runs any more."""
    agent.paused_at, agent.pause_reason = at, reason[:200]
    save_with_history(agent, actor=actor, reason=f"paused: {reason}", at=at)
    record(AuditCode.AGENT_PAUSED, actor=actor, subject=agent, data={"reason": reason}, at=at)
