"""Tasks (extension `io.modelcontextprotocol/tasks`): a request as a client follows it by itself.

A reviewer's question ends a task, so that the model sees it: a task's id says how many questions
had been asked when it began. What is answered goes on as another task of the same request.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from rest_framework import serializers

from approvals.choices import State
from approvals.exceptions import ApprovalError, NotFound
from approvals.mcp.calls import story_of
from approvals.mcp.protocol import INVALID_PARAMS, Call, ProtocolError, missing_tasks
from approvals.mcp.results import result_of
from approvals.models import Agent
from approvals.selectors.agent_story import AgentStory
from approvals.selectors.outcomes import Outcome
from approvals.selectors.requests import request_of_agent
from approvals.services import agent_replies
from audit.lib.canonical import JsonObject

_LONGEST_ROUND = 4  # digits


def is_followed(story: AgentStory, call: Call) -> bool:
    """Whether the client gets a task for it instead of a result."""
    return call.takes_tasks and not story.final and story.outcome is not Outcome.NEEDS_AGENT


def new_task(story: AgentStory) -> JsonObject:
    """What a call is answered with that goes on as a task."""
    return {"resultType": "task", **_task(story, len(story.questions), "working")}


def get(call: Call, agent: Agent) -> JsonObject:
    """`tasks/get`: how it stands, with its result where it is over."""
    story, asked = _story(call, agent)
    is_the_agents = story.outcome is Outcome.NEEDS_AGENT  # a model that polls would never see it
    if is_the_agents or len(story.questions) > asked:
        return _completed(story, asked)
    if story.request.state == State.WITHDRAWN:
        return _task(story, asked, "cancelled")
    return _completed(story, asked) if story.final else _task(story, asked, "working")


def update(call: Call, agent: Agent) -> JsonObject:
    """`tasks/update`: nothing is ever asked of the client's user, so nothing is taken."""
    _story(call, agent)
    return {}


def cancel(call: Call, agent: Agent) -> JsonObject:
    """`tasks/cancel`: withdraws the request, if that is not too late; acknowledged either way."""
    story, _ = _story(call, agent)
    with suppress(ApprovalError):
        agent_replies.withdraw(story.request.pk, agent=agent, reason="Cancelled by its client.")
    return {}


def _completed(story: AgentStory, asked: int) -> JsonObject:
    result: JsonObject = {"resultType": "complete", **result_of(story, with_link=True)}
    return {**_task(story, asked, "completed"), "result": result}


def _task(story: AgentStory, asked: int, status: str) -> JsonObject:
    task: JsonObject = {
        "taskId": f"{story.request.pk}.{asked}",
        "status": status,
        "statusMessage": story.message,
        "createdAt": _moment(story.request.created_at),
        "lastUpdatedAt": _moment(story.request.updated_at),
        "ttlMs": None,
    }
    if story.poll_after is not None:
        task = {**task, "pollIntervalMs": story.poll_after * 1000}
    return task


def _story(call: Call, agent: Agent) -> tuple[AgentStory, int]:
    """The request a task is of, and how many questions had been asked when the task began."""
    if not call.takes_tasks:
        raise missing_tasks()
    text, _, asked = str(call.params.get("taskId", "")).partition(".")
    is_number = asked.isascii() and asked.isdigit() and len(asked) <= _LONGEST_ROUND
    try:
        if not is_number:
            raise ValueError(asked)
        request = request_of_agent(UUID(text), agent)
    except (ValueError, NotFound):
        raise ProtocolError(INVALID_PARAMS, "There is no such task of yours.") from None
    return story_of(request.pk), int(asked)


def _moment(at: datetime) -> str:
    """As in every other answer (RFC 3339)."""
    return str(_MOMENT.to_representation(at))


_MOMENT = serializers.DateTimeField(default_timezone=UTC)
