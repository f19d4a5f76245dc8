"""A request as the profile tells it: a task, and once it is approved what to evaluate with."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.urls import reverse

from approvals.authzen.references import approval_id
from approvals.choices import State
from approvals.selectors.agent_story import AgentStory
from audit.lib.canonical import JsonObject

PENDING, APPROVED = "pending", "approved"
STATUS_OF: Mapping[str, str] = {
    State.DENIED: "denied",
    State.REJECTED: "denied",
    State.EXPIRED: "expired",
    State.WITHDRAWN: "cancelled",
    **dict.fromkeys(
        (
            *(State.APPROVED, State.EXECUTING, State.EXECUTED, State.OUTCOME_UNKNOWN),
            *(State.VERIFIED, State.VERIFICATION_FAILED, State.AUDITED, State.FAILED),
            *(State.RESOLVED, State.COMPENSATED),
        ),
        APPROVED,
    ),
    **dict.fromkeys(
        (
            *(State.REQUESTED, State.CLASSIFIED, State.EVIDENCE_COLLECTED, State.POLICY_CHECKED),
            *(State.PENDING_APPROVAL, State.CHANGES_REQUESTED),
        ),
        PENDING,
    ),
}
"""What became of a grant that was used is told by the request itself, not by its task."""


def task_of(story: AgentStory) -> JsonObject:
    """The body of every answer about a task."""
    request = story.request
    status = STATUS_OF[request.state]
    address = f"{settings.BASE_URL}{reverse('authzen:task', args=[request.pk])}"
    links: JsonObject = {
        "review": f"{settings.BASE_URL}{reverse('review', args=[request.pk])}",
        **({"cancel": f"{address}/cancel"} if status == PENDING else {}),
    }
    task: JsonObject = {
        "id": str(request.pk),
        "status": status,
        "status_endpoint": address,
        "display": {"title": story.effect, "description": story.message},
        "links": links,
    }
    grant = request.grants.filter(revoked_at=None).order_by("-pk").first()
    if status != APPROVED or grant is None:
        return {"task": task}
    approval: JsonObject = {
        "id": approval_id(request.pk, grant.pk),
        "approved_until": grant.expires_at.isoformat(),
    }
    return {"task": task, "result": {"mode": "reevaluate", "approval": approval}}
