"""Rejections that teach: what was said reaches the agent, and one that never learns is stopped."""

from __future__ import annotations

from datetime import datetime

from approvals.choices import State
from approvals.models import ActionRequest, Agent
from approvals.selectors.earlier import DAY, last_rejection_of
from approvals.services import notify
from approvals.services.agents import pause_agent
from approvals.services.derive import Candidate
from audit.actors import Actor
from audit.events import AuditCode
from audit.selectors import events_of

LOOPS = Actor.system("loop counter")

MOST_REFUSALS = 3
"""So often may one agent be told no to the same thing in 24 hours; with the last it is paused."""


def lesson_for(candidate: Candidate, *, at: datetime) -> str:
    """What the person said who last rejected exactly this; empty when nobody did.

    The words go only to the agent they were written for; another learns the reason's code.
    """
    last = last_rejection_of(candidate.business_key, candidate.digest, at=at)
    if last is None:
        return ""
    said = f"A person rejected exactly this at {last.created_at:%Y-%m-%d %H:%M} UTC"
    said += f" ({last.reason_code})" if last.reason_code else ""
    if last.comment.strip() and last.request.agent_id == candidate.agent.pk:
        said += f': "{last.comment.strip()}"'
    return f"{said} Change what was wrong, or leave it."


def hold_agent(request: ActionRequest) -> None:
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
    request.agent = pause_agent(
        agent.pk,
        actor=LOOPS,
        reason=f"Told no {MOST_REFUSALS} times in 24 hours and proposed the same again.",
    )
    notify.agent_paused(request)
