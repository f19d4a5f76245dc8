"""Pydantic AI: a call that waits for people is deferred, and its result is supplied later.

Trap. The messages are kept when the run is deferred, not before the call: killed in between, it
begins anew and the model's call has another id, so the key is made of what is called.
"""

from __future__ import annotations

import json
import os

import fake_models
import runs
from countersign import Action, Countersign, Unsettled, idempotency_key
from pydantic_ai import Agent, CallDeferred, DeferredToolRequests, RunContext
from pydantic_ai.messages import ModelMessagesTypeAdapter
from pydantic_ai.tools import DeferredToolResults

PATIENCE = float(os.environ.get("PATIENCE", "20"))  # seconds before the run is put aside
cs = Countersign()
agent = Agent(fake_models.for_pydantic_ai(), deps_type=str, output_type=[str, DeferredToolRequests])


def settled(a: Action) -> str:
    try:
        return cs.settle(a, within=PATIENCE).message
    except Unsettled as how:
        if how.action.outcome == "open":
            raise CallDeferred({"request": a.id}) from how
        return f"{how} {how.action.question or ''}"


@agent.tool
def refund(context: RunContext[str], charge: str, amount: str) -> str:
    """Pay a charge back."""
    params = {"charge": charge, "amount": amount, "currency": "EUR", "reason": "damaged"}
    key = idempotency_key("pydantic-ai", context.deps, "refund", charge, amount)
    return settled(cs.propose("refund.issue", params, intent="The lamp arrived broken.", key=key))


@agent.tool_plain
def answer_reviewer(request: str, answer: str) -> str:
    """Answer a reviewer's question about a request."""
    a = cs.get(request)
    return settled(cs.answer(request, answer) if a.outcome == "needs_agent" else a)


def go(run: runs.Run) -> str | None:
    if run.saved():
        kept = json.loads(run.saved())
        try:
            calls = {call: settled(cs.get(id)) for call, id in kept["waiting"].items()}
        except CallDeferred:
            return None  # people still decide
        result = agent.run_sync(
            message_history=ModelMessagesTypeAdapter.validate_json(kept["messages"]),
            deferred_tool_results=DeferredToolResults(calls=calls),
            deps=run.name,
        )
    else:
        result = agent.run_sync(run.task, deps=run.name)
    if isinstance(result.output, str):
        return result.output
    waiting = {call: told["request"] for call, told in result.output.metadata.items()}
    run.save(json.dumps({"messages": result.all_messages_json().decode(), "waiting": waiting}))
    return None


if __name__ == "__main__":
    runs.main(go)
