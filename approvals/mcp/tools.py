"""The tools an agent's key has: one per action type, and those to follow up. None decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from approvals.models import Agent
from audit.lib.canonical import JsonObject
from connectors.catalogue import ActionType, Reversibility, Verb
from connectors.registry import UnknownActionType, action_type, action_types, is_offered

INTENT = "intent"
OWN = "countersign_"
LONGEST_NAME = 64
"""Models' interfaces take no longer names, and no dots in them."""

STATUS, ANSWER, WITHDRAW, UNDO, CHECK = (
    f"{OWN}{name}" for name in ("status", "answer", "withdraw", "undo", "check")
)
REDEEM, REPORT = f"{OWN}redeem", f"{OWN}report"
LONGEST_STATUS_WAIT = 25  # seconds

_NULLABLE_TEXT: JsonObject = {"type": ["string", "null"]}
GRANT: JsonObject = {
    "type": "object",
    "properties": {
        "grant": {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "digest": {"type": "string"},
                "params": {
                    "type": "object",
                    "description": "Do exactly this: reviewers may have changed what you proposed.",
                },
                "not_after": {"type": "string", "description": "Report before."},
                "fence": {"type": "integer", "description": "Send it with the report."},
            },
            "required": ["id", "digest", "params", "not_after", "fence"],
        }
    },
    "required": ["grant"],
}
"""What the tool that takes a grant answers."""
OUTPUT: JsonObject = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "Of the request, for the other tools."},
        "outcome": {
            "type": "string",
            "enum": ["open", "needs_agent", "done", "refused", "unclear"],
            "description": "open: NOT done yet. needs_agent: answer the question. done. refused: "
            "nothing was done. unclear: never repeat it.",
        },
        "final": {"type": "boolean"},
        "message": {"type": "string"},
        "state": {"type": "string"},
        "effect": {"type": "string", "description": "What is done, or would be."},
        "params": {"type": ["object", "null"], "description": "What counts now."},
        "question": {"type": ["object", "null"]},
        "poll_after": {"type": ["integer", "null"], "description": "Seconds."},
        "duplicate_of": _NULLABLE_TEXT,
        "cause": _NULLABLE_TEXT,
        "decisions": {"type": "array", "items": {"type": "object"}},
        "execution": {"type": ["object", "null"]},
        "review_url": {"type": "string", "description": "Where people decide."},
    },
    "required": ["id", "outcome", "final", "message"],
}
"""What every tool that acts on a request answers."""


def tool_name(key: str) -> str:
    """An action type's name as a tool: "refund_issue"."""
    return key.replace(".", "_")


def tools_of(agent: Agent) -> list[JsonObject]:
    """Every tool the agent has, by name; those to follow up come last.

    Grants are for agents that carry something out themselves.
    """
    kinds = kinds_of(agent)
    own = _AGENTS_OWN if any(kind.by_agent for kind in kinds) else ()
    return [*(_tool(kind) for kind in kinds), *_FOLLOW_UP, *own]


def kinds_of(agent: Agent) -> list[ActionType]:
    """The action types it may propose here, in the order of their tools."""
    found = []
    for key in agent.action_types:
        try:
            kind = action_type(key)
        except UnknownActionType:  # retired since
            continue
        if is_offered(kind):
            found.append(kind)
    return sorted(found, key=lambda kind: tool_name(kind.key))


def kind_called(name: str, agent: Agent) -> ActionType | None:
    """The action type that tool proposes; None where the agent has no such tool."""
    return next((kind for kind in kinds_of(agent) if tool_name(kind.key) == name), None)


def mistakes() -> Iterator[str]:
    """What would keep the registered action types from being tools, as sentences."""
    names: dict[str, str] = {}
    for kind in action_types():
        name = tool_name(kind.key)
        if name in names:
            yield f"{kind.key} and {names[name]} would be the same tool, {name}."
        if name.startswith(OWN) or len(name) > LONGEST_NAME:
            yield f"{kind.key} cannot be a tool of that name."
        if INTENT in _properties(kind):
            yield f'{kind.key} has a param "{INTENT}", which every tool has.'
        names[name] = kind.key


def _properties(kind: ActionType) -> dict[str, Any]:
    found = kind.schema.get("properties", {})
    return dict(found) if isinstance(found, dict) else {}


def _description(kind: ActionType) -> str:
    own = (
        f"Once it is approved you carry it out yourself, one time: take the grant with {REDEEM}, "
        f"do exactly its params, and say what came of it with {REPORT}. "
    )
    return (
        f"{kind.title}. This proposes it: policy or people decide, and it may take hours. Until "
        f"outcome is done, it is NOT done. {own if kind.by_agent else ''}{kind.undo}"
    )


def _tool(kind: ActionType) -> JsonObject:
    required = kind.schema.get("required", [])
    schema: JsonObject = {
        **kind.schema,
        "properties": {
            **_properties(kind),
            INTENT: {
                "type": "string",
                "minLength": 1,
                "maxLength": 1000,
                "description": "Why, in a sentence or two, for the people who decide.",
            },
        },
        "required": [*(required if isinstance(required, list) else []), INTENT],
    }
    return {
        "name": tool_name(kind.key),
        "title": kind.title,
        "description": _description(kind),
        "inputSchema": schema,
        "outputSchema": OUTPUT,
        "annotations": {
            "title": kind.title,
            "readOnlyHint": kind.verb is Verb.READ,
            "destructiveHint": kind.reversibility is Reversibility.IRREVERSIBLE,
            "idempotentHint": True,
            "openWorldHint": True,
        },
    }


def _follow_up(
    name: str,
    title: str,
    description: str,
    *,
    reads: bool = False,
    answers: JsonObject | None = OUTPUT,
    **properties: JsonObject,
) -> JsonObject:
    required = [key for key, schema in properties.items() if not schema.get("x-optional")]
    plain = {
        key: {word: value for word, value in schema.items() if word != "x-optional"}
        for key, schema in properties.items()
    }
    tool: JsonObject = {
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": plain,
            "required": required,
            "additionalProperties": False,
        },
        "annotations": {"title": title, "readOnlyHint": reads, "destructiveHint": False},
    }
    return tool if answers is None else {**tool, "outputSchema": answers}


_ID: JsonObject = {"type": "string", "format": "uuid", "description": "The request's id."}
_REASON: JsonObject = {"type": "string", "maxLength": 500, "x-optional": True}
_FOLLOW_UP: tuple[JsonObject, ...] = (
    _follow_up(
        STATUS,
        "Look a request up",
        "What has become of a request of yours. Waits up to `wait` seconds for it to change.",
        reads=True,
        id=_ID,
        wait={
            "type": "integer",
            "minimum": 0,
            "maximum": LONGEST_STATUS_WAIT,
            "x-optional": True,
        },
    ),
    _follow_up(
        ANSWER,
        "Answer a reviewer",
        "Answer the question a reviewer asked about a request of yours.",
        id=_ID,
        answer={"type": "string", "minLength": 1, "maxLength": 5000},
    ),
    _follow_up(
        WITHDRAW,
        "Take a request back",
        "Withdraw a request of yours that has not begun.",
        id=_ID,
        reason=_REASON,
    ),
    _follow_up(
        UNDO,
        "Propose an undo",
        "Propose undoing what a request of yours did. Policy or people decide on that, too.",
        id=_ID,
        reason=_REASON,
    ),
    _follow_up(
        CHECK,
        "Ask what would happen",
        "What policy would say to a call of another tool now. Proposes and stores nothing.",
        reads=True,
        answers=None,
        tool={"type": "string", "description": "Its name."},
        arguments={"type": "object", "description": "What it would be called with."},
    ),
)
_PLAIN: JsonObject = {"type": "string", "pattern": "^[\\x21-\\x7e]*$"}
_AGENTS_OWN: tuple[JsonObject, ...] = (
    _follow_up(
        REDEEM,
        "Take a grant",
        "For what you carry out yourself, once it is approved: take its single-use grant, and then "
        "do exactly its params, one time. Only the same redeemer gets the same grant again.",
        answers=GRANT,
        id=_ID,
        redeemer={
            **_PLAIN,
            "minLength": 1,
            "maxLength": 100,
            "description": "A nonce of yours for this one run; keep it until you have reported.",
        },
    ),
    _follow_up(
        REPORT,
        "Report what came of a grant",
        "Say what came of what you did under a grant, before its not_after. It counts as your word "
        "and is never verified.",
        id=_ID,
        fence={"type": "integer", "minimum": 0, "description": "The grant's."},
        outcome={
            "type": "string",
            "enum": ["done", "failed", "unknown"],
            "description": "failed: certainly without effect. unknown: people find out.",
        },
        receipt={
            **_PLAIN,
            "maxLength": 200,
            "x-optional": True,
            "description": "What the effect is known by, such as a commit. Needed with done.",
        },
        result_digest={
            "type": "string",
            "pattern": "^(sha256:[0-9a-f]{64})?$",
            "x-optional": True,
            "description": "Of what came out, where you keep it.",
        },
    ),
)
