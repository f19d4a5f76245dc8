"""A look at the target while somebody reads its page: is it still as they are shown it?

Nothing is stored and nothing is decided by it: what counts is read again, on record, when somebody
asks for that, and before anything is carried out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from approvals.domain.target_reader import read_or_go_without
from approvals.models import ActionRequest
from approvals.selectors.evidence_view import shown_value, stored_json
from approvals.selectors.requests import action_of, reading_of
from audit.lib import db_clock


@dataclass(frozen=True, slots=True)
class LiveCheck:
    """What was found a moment ago, beside what the page shows."""

    at: datetime
    unavailable: str
    problem: str
    """What the target would refuse it for; "" where it would take it."""
    is_changed: bool
    """Whether something it depends on differs from what was read for the reviewer."""


def live_check(request_id: UUID) -> LiveCheck:
    """Read the target within the bounds of a web request. Raises IntegrityBroken."""
    request = ActionRequest.objects.get(pk=request_id)
    found, reading = read_or_go_without(action_of(request)), reading_of(request)
    problem = found.after.get("problem", "") if not found.unavailable else ""
    before = stored_json(reading.before) if reading else {}
    return LiveCheck(
        at=found.read_at or db_clock.now(),
        unavailable=shown_value(found.unavailable),
        problem=shown_value(problem),
        is_changed=not found.unavailable and dict(found.before) != before,
    )
