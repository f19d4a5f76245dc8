"""What a call of a tool is answered with: words for the model, facts for its program."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from approvals.api.grant_views import RedeemedOutput
from approvals.api.output import ActionOutput
from approvals.api.views import answered
from approvals.exceptions import FieldProblem
from approvals.inspection import reveal
from approvals.mcp.tools import ANSWER, OUTPUT, REDEEM, REPORT, STATUS
from approvals.selectors.abstentions import told_to_agents
from approvals.selectors.agent_story import AgentStory
from approvals.selectors.outcomes import Outcome
from approvals.services.redeem import RedeemedGrant
from audit.lib.canonical import JsonObject

_TOLD = frozenset(OUTPUT["properties"])  # type: ignore[arg-type]  # an object, above


def result_of(story: AgentStory, *, with_link: bool) -> JsonObject:
    """A request as the result of a tool; a refusal is an error the model sees."""
    told = answered(ActionOutput, story)
    content: list[JsonObject] = [{"type": "text", "text": _words(story)}]
    if with_link:
        content.append(
            {
                "type": "resource_link",
                "uri": told["review_url"],
                "name": "review",
                "title": "Where people decide",
                "description": "For people: no tool decides.",
            }
        )
    return {
        "content": content,
        "structuredContent": {name: told[name] for name in told if name in _TOLD},
        "isError": story.outcome is Outcome.REFUSED,
    }


def refusal(code: str, sentence: str, problems: Iterable[FieldProblem] = ()) -> JsonObject:
    """A call that came to nothing, as the model is told of it; nothing was stored."""
    lines = [f"{sentence} ({code})", *(f"- {one.field}: {one.message}" for one in problems)]
    return {"content": [{"type": "text", "text": "\n".join(lines)}], "isError": True}


def facts(body: Any) -> JsonObject:
    """Facts that are not of a request."""
    return {"content": [{"type": "text", "text": json.dumps(body)}], "isError": False}


def granted(grant: RedeemedGrant) -> JsonObject:
    """A grant that was taken: what may be done now, once, and what is left to do after it."""
    told = RedeemedOutput({"grant": grant}).data
    words = (
        "This grant is yours: do exactly its params, whatever you proposed, one time. Then report "
        f"with {REPORT} and its fence, before not_after.\n{json.dumps(told)}"
    )
    content = [{"type": "text", "text": words}]
    return {"content": content, "structuredContent": told, "isError": False}


def _words(story: AgentStory) -> str:
    lines = [story.message, f"Request {story.request.pk}."]
    if story.question is not None:
        lines.append(f"The reviewer asks: {_quoted(story.question.text)} Answer with {ANSWER}.")
    for decision in told_to_agents(story.decisions)[-1:]:
        if story.outcome is Outcome.REFUSED and decision.comment:
            lines.append(f"The reviewer wrote: {_quoted(decision.comment)}")
    if story.outcome is Outcome.NEEDS_AGENT and story.question is None:
        lines.append(f"Take the grant with {REDEEM}, and report with {REPORT}.")
    if story.outcome is Outcome.OPEN:
        lines.append(f"Look it up with {STATUS}. People decide at the link; no tool does.")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(reveal(text), ensure_ascii=False)
