"""What a webhook says of a request: the same body as GET."""

from __future__ import annotations

from uuid import UUID

from approvals.api.output import ActionOutput
from approvals.api.views import answered
from approvals.selectors.agent_story import stories_of
from approvals.services.webhook_delivery import body_of_request
from audit.lib.canonical import JsonObject


@body_of_request
def webhook_body(request_id: UUID) -> JsonObject:
    """The request as it is now, as its agent is answered."""
    (story,) = stories_of([request_id])
    return answered(ActionOutput, story)
