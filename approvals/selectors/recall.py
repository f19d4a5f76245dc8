"""Whether somebody may still take back their approval, and until when."""

from __future__ import annotations

from datetime import datetime

from approvals.exceptions import ApprovalError, NotAuthorised, WrongState
from approvals.models import Grant
from policies.models import User


def why_not_recall(grant: Grant | None, person: User, *, at: datetime) -> ApprovalError | None:
    """Why this person does not recall what the grant unlocks; None means they may.

    What a person starts and watches may be stopped by them, or by whoever approved it, until a
    worker has begun.
    """
    if grant is None or (grant.usable_from is None and not grant.needs_start):
        return WrongState("This cannot be recalled; propose undoing it once it is done.")
    started_by = grant.started_by.person if grant.started_by else ""
    if person.person not in (*grant.approvers, started_by):
        return NotAuthorised("Only whoever approved this recalls it.", code="not_approver")
    if not grant.needs_start and grant.usable_from is not None and grant.usable_from <= at:
        return WrongState("Too late to recall: it is being carried out.")
    return None
