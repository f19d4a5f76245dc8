"""What has changed among an agent's requests, in one call for all that it waits for."""

from __future__ import annotations

from django.utils.functional import cached_property
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from approvals.api.output import PROBLEMS, ChangesOutput
from approvals.api.views import WAIT, AgentView, agent_of, answered, wait_of
from approvals.api.waiting import NOT_WAITED, wait_until
from approvals.models import Agent
from approvals.selectors.agent_story import AgentStory, stories_of
from approvals.selectors.changes import LATEST, Changes, Cursor, changes_after, latest

AFTER = OpenApiParameter(
    "after",
    OpenApiTypes.STR,
    description="The `cursor` of the last answer. Left out: from the beginning. "
    f"`{LATEST}`: nothing yet, and the cursor from which only later changes follow.",
)


class ChangesView(AgentView):
    """One's own requests in the order of their last change."""

    query_parameters = frozenset({AFTER.name, WAIT.name})

    @extend_schema(
        summary="What has changed since a cursor, or wait for the next change",
        description="For whoever waits for several requests, or was restarted: keep `cursor`, and "
        "send it as `after` next time. Each request appears as it is now, at the place of its last "
        "change. With `more`, ask again at once.",
        parameters=[AFTER, WAIT],
        responses={200: ChangesOutput, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        feed = Feed(agent_of(request), request.query_params.get(AFTER.name, ""))
        seconds, waited = wait_of(request), True
        if seconds and not feed.has_news():
            waited = wait_until(feed.has_news, seconds, agent_id=feed.agent.pk)
        body = answered(ChangesOutput, feed)
        return Response(body, headers=None if waited else NOT_WAITED)


class Feed:
    """What follows a cursor, looked at until there is something."""

    def __init__(self, agent: Agent, after: str) -> None:
        self.agent = agent
        try:
            self._after = latest(agent) if after == LATEST else Cursor.read(after or str(Cursor()))
        except (ValueError, OverflowError):
            raise ParseError(
                "after is a cursor from an earlier answer.", code="bad_cursor"
            ) from None
        self._found: Changes | None = None

    def has_news(self) -> bool:
        """Whether there are changes now; they are looked up again."""
        self._found = changes_after(self.agent, self._after)
        return bool(self._found.request_ids)

    @property
    def found(self) -> Changes:
        if self._found is None:
            self.has_news()
        assert self._found is not None  # noqa: S101 - narrows for the type checker
        return self._found

    @cached_property
    def results(self) -> list[AgentStory]:
        return stories_of(self.found.request_ids)

    @property
    def cursor(self) -> str:
        return str(self.found.cursor)

    @property
    def more(self) -> bool:
        return self.found.more
