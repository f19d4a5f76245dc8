"""Why an undo was asked for, and by whom: never shown as the words of the agent it undoes."""

from __future__ import annotations

import json
from dataclasses import dataclass

from approvals.inspection import reveal
from approvals.models import ActionRequest
from approvals.selectors.requests import contents_of
from approvals.selectors.viewer_permissions import name_of


@dataclass(frozen=True, slots=True)
class UndoAsked:
    """Who wants something undone, and why, in their own words."""

    by: str
    reason: str
    by_agent: bool = False


def undo_asked(request: ActionRequest) -> UndoAsked | None:
    """None for a request that undoes nothing. Undos of earlier releases tell no reason apart."""
    if request.compensates_id is None:
        return None
    body = json.loads(contents_of(request)[0].proposal)
    reason = reveal(str(body.get("reason") or body.get("intent", "")))
    if request.requested_by is not None:
        return UndoAsked(name_of(request.requested_by), reason)
    if body.get("asked_by") == "plan":
        return UndoAsked("The plan it was a step of", reason)
    return UndoAsked(request.agent.name, reason, by_agent=True)
