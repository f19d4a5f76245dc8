"""Microsoft Agent Framework: a call that needs approval ends the turn; it is answered later.

Traps. When one call of a turn needs approval, the framework asks for all of them. The session is
kept when the turn ends, not before the call: killed in between, it begins anew and the model's call
has another id, so the key is made of what is called. Saying yes to the framework decides nothing:
the tool proposes, and finds what people decided.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import fake_models
import runs
from agent_framework import Agent, AgentSession, Content, Message, tool
from countersign import Action, AsyncCountersign, Unsettled, idempotency_key

PATIENCE = float(os.environ.get("PATIENCE", "20"))  # seconds before the run is put aside
cs = AsyncCountersign()


async def propose(run: str, charge: str, amount: str) -> Action:
    params = {"charge": charge, "amount": amount, "currency": "EUR", "reason": "damaged"}
    key = idempotency_key("agent-framework", run, "refund", charge, amount)
    return await cs.propose("refund.issue", params, intent="The lamp arrived broken.", key=key)


async def answered(request: str, answer: str) -> Action:
    a = await cs.get(request)
    return await cs.answer(request, answer) if a.outcome == "needs_agent" else a


async def waits(run: str, call: Content) -> bool:
    """Whether people still decide about what the model called for, after a while."""
    told = call.parse_arguments()
    a = await (propose(run, **told) if call.name == "refund" else answered(**told))
    try:
        return (await cs.settle(a, within=PATIENCE)).outcome == "open"
    except Unsettled as how:
        return bool(how.action.outcome == "open")


def said(a: Action) -> str:
    return f"{a.message} {a.question or ''} Request {a.id}."


async def converse(run: runs.Run) -> str | None:
    @tool(approval_mode="always_require")
    async def refund(charge: str, amount: str) -> str:
        """Pay a charge back."""
        return said(await propose(run.name, charge, amount))

    @tool(approval_mode="always_require")
    async def answer_reviewer(request: str, answer: str) -> str:
        """Answer a reviewer's question about a request."""
        return said(await cs.get(request))

    agent = Agent(fake_models.for_agent_framework(), tools=[refund, answer_reviewer])
    kept = json.loads(run.saved() or "{}")
    session = AgentSession.from_dict(kept["session"]) if kept else AgentSession()
    asked = [Content.from_dict(one) for one in kept.get("asked", ())]
    turn: Any = run.task
    while True:
        if asked:
            if any([await waits(run.name, one.function_call) for one in asked]):
                return None  # start me again later
            yes = [one.to_function_approval_response(approved=True) for one in asked]
            turn = Message(role="user", contents=yes)
        response = await agent.run(turn, session=session)
        asked = response.user_input_requests
        if not asked:
            return str(response.text)
        run.save(
            json.dumps({"session": session.to_dict(), "asked": [one.to_dict() for one in asked]})
        )


def go(run: runs.Run) -> str | None:
    return asyncio.run(converse(run))


if __name__ == "__main__":
    runs.main(go)
