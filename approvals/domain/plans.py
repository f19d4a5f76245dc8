"""A plan is told that something about its steps has changed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from approvals.domain import dispatch
from approvals.models import Plan


def look_again(plan_id: UUID, *, at: datetime) -> None:
    """In the transaction of the change, so that no lost message leaves a plan standing.

    The caller holds the step, or the request that undoes one; plans are locked after requests.
    """
    if Plan.objects.filter(pk=plan_id, closed_at=None).update(next_look_at=at):
        dispatch.plan_of(plan_id)
