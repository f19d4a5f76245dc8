"""When time next does something with a request people decide: announce it, remind, escalate.

`next_step_at` says when somebody has to look, so that nobody looks at the others. A request that
was just routed is due at once, at the very moment its clock started: it has not been announced.
Looking twice is harmless: every step is taken once. Where nobody has said when (an
older release routed it), the sweep looks.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from approvals.choices import REMINDERS, EscalationStep
from approvals.models import ActionRequest


def start(request: ActionRequest, *, at: datetime) -> None:
    """The clock of deciding starts; the first step is to announce the request."""
    request.clock_started_at = request.next_step_at = at


def restart(request: ActionRequest, *, at: datetime) -> None:
    """People get all their time again; the caller announces the request."""
    request.clock_started_at = at
    request.clock_round += 1
    schedule(request, after=at)


def shift(request: ActionRequest, by: timedelta, *, at: datetime) -> None:
    """The clock stood still so long, and goes on; the next sweep sees who is pressed."""
    if request.clock_started_at is None:
        return
    unannounced = is_unannounced(request)
    request.clock_started_at += by
    request.next_step_at = request.clock_started_at if unannounced else at


def is_unannounced(request: ActionRequest) -> bool:
    """Whether nobody has been found, suggested and told yet."""
    return request.next_step_at is not None and request.next_step_at == request.clock_started_at


def announced(request: ActionRequest, *, at: datetime) -> None:
    """The caller tells people itself; the next sweep sees who is pressed."""
    request.next_step_at = at


def schedule(request: ActionRequest, *, after: datetime) -> None:
    """The next step is the first reminder after that moment; when none is left, the end.

    Without clocks it stays unknown: then the sweep looks.
    """
    to_come = (moment for moment in moments(request).values() if moment > after)
    if request.clock_started_at is not None:
        request.next_step_at = min(to_come, default=request.decide_by)


def moments(request: ActionRequest) -> dict[EscalationStep, datetime]:
    """When each reminder, and then the escalation, is due, in order; none without clocks."""
    start, end = request.clock_started_at, request.decide_by
    if start is None or end is None:
        return {}
    return {step: start + (end - start) * percent / 100 for step, percent in REMINDERS.items()}


def look_again(request: ActionRequest, *, at: datetime) -> None:
    """Others are asked now than when steps were last taken: the next sweep sees who is pressed."""
    if not is_unannounced(request):
        request.next_step_at = at


def save(request: ActionRequest) -> None:
    """Keep when the next step is due: no move, so no history row either."""
    ActionRequest.objects.filter(pk=request.pk).update(next_step_at=request.next_step_at)
