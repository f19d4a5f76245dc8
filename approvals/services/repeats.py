"""The same call again without a key: the same request, while it is open or has just ended."""

from __future__ import annotations

from datetime import timedelta

from approvals.models import ActionRequest, Agent
from approvals.selectors.agent_story import AgentStory
from audit.lib.canonical import JsonObject, digest_of

SAME_FOR = timedelta(minutes=10)
"""How long after its end a request still answers the same call."""

_MOST = 10**8


def key_of_call(agent: Agent, name: str, arguments: JsonObject) -> str:
    """The idempotency key of a call that brought none.

    That of the last request of the same agent, name and canonical arguments, while it is open or
    ended less than `SAME_FOR` ago; else one that is new. Two such calls at once get the same key.
    """
    call = digest_of({"name": name, "arguments": arguments})
    keys = (_key(call, 0), _key(call, _MOST - 1))
    same = ActionRequest.objects.filter(agent=agent, idempotency_key__range=keys)
    last = same.select_related("agent").order_by("-idempotency_key").first()
    if last is None:
        return _key(call, 0)
    story = AgentStory(last)
    if not story.final or story.quiet_for < SAME_FOR:
        return last.idempotency_key
    return _key(call, int(last.idempotency_key.rpartition(" ")[2]) + 1)


def _key(call: str, number: int) -> str:
    """With spaces, which the API takes from nobody: no agent can have used it itself."""
    return f"call {call} {number:08}"
