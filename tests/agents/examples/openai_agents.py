"""OpenAI Agents SDK: a call that needs approval interrupts the run, whose state is kept.

Traps. The state is kept when the run is interrupted, not before the call: killed in between, it
begins anew and the model's call has another id, so the key is made of what is called. The SDK turns
a tool's exception into text; `Pending` must not become an answer, so people's waiting is decided in
`needs_approval`. Never `always_approve`: the approval in the state is only a hint, and what acts
proposes again and finds what people decided.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import fake_models
import runs
from agents import Agent, RunContextWrapper, Runner, RunState, function_tool
from countersign import Action, AsyncCountersign, Unsettled, idempotency_key

os.environ.setdefault("OPENAI_AGENTS_DISABLE_TRACING", "1")
PATIENCE = float(os.environ.get("PATIENCE", "20"))  # seconds before the run is put aside
cs = AsyncCountersign()
Context = RunContextWrapper[dict[str, str]]


async def propose(run: str, charge: str, amount: str) -> Action:
    params = {"charge": charge, "amount": amount, "currency": "EUR", "reason": "damaged"}
    key = idempotency_key("openai-agents", run, "refund", charge, amount)
    return await cs.propose("refund.issue", params, intent="The lamp arrived broken.", key=key)


async def answered(request: str, answer: str) -> Action:
    a = await cs.get(request)
    return await cs.answer(request, answer) if a.outcome == "needs_agent" else a


async def settled(a: Action) -> Action:
    try:
        return await cs.settle(a, within=PATIENCE)
    except Unsettled as how:
        return how.action


async def look(run: str, tool: str, told: dict[str, str]) -> Action:
    """How what the tool is called for stands now, after a while."""
    return await settled(await (propose(run, **told) if tool == "refund" else answered(**told)))


def said(a: Action) -> str:
    return f"{a.message} {a.question or ''} Request {a.id}."


async def refund_waits(context: Context, told: dict[str, str], call: str) -> bool:
    return (await look(context.context["run"], "refund", told)).outcome == "open"


async def answer_waits(context: Context, told: dict[str, str], call: str) -> bool:
    return (await look(context.context["run"], "answer_reviewer", told)).outcome == "open"


@function_tool(needs_approval=refund_waits)
async def refund(context: Context, charge: str, amount: str) -> str:
    """Pay a charge back."""
    return said(await propose(context.context["run"], charge, amount))


@function_tool(needs_approval=answer_waits)
async def answer_reviewer(request: str, answer: str) -> str:
    """Answer a reviewer's question about a request."""
    return said(await cs.get(request))


async def converse(run: runs.Run) -> str | None:
    agent = Agent(name="refunds", model=fake_models.for_openai(), tools=[refund, answer_reviewer])
    begin: Any = run.task
    if run.saved():
        begin = await RunState.from_string(agent, run.saved())
        for waiting in begin.get_interruptions():
            told = json.loads(waiting.raw_item.arguments)
            a = await look(run.name, waiting.tool_name, told)
            if a.outcome == "open":
                return None
            if a.outcome == "done":
                begin.approve(waiting)
            else:
                begin.reject(waiting, rejection_message=said(a))
    result = await Runner.run(agent, begin, context={"run": run.name})
    if result.interruptions:
        run.save(result.to_state().to_string())
        return None
    return str(result.final_output)


def go(run: runs.Run) -> str | None:
    return asyncio.run(converse(run))


if __name__ == "__main__":
    runs.main(go)
