"""LangGraph: a tool whose run is suspended while people decide, and resumed by its thread.

Traps. LangGraph runs a node again from its top, so everything before `interrupt` must find what is
there instead of making it anew: proposing with the same key does. It keeps the id of a call before
it makes it (`durability="sync"`), which is why that id may be the key. Resume when `cs.changes()`
names the request: resumed too early, it is suspended again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Annotated, Any

import fake_models
import runs
from countersign import Countersign, Unsettled, idempotency_key
from langchain.agents import create_agent
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command, interrupt

PATIENCE = float(os.environ.get("PATIENCE", "20"))  # seconds before the run is put aside

# --- the gate
cs = Countersign()


def settled(a):
    with suppress(Unsettled):
        return cs.settle(a, within=PATIENCE).message
    while (a := cs.get(a.id)).outcome == "open":
        interrupt(a.message)  # the process may end here; people take days
    return f"{a.message} {a.question or ''} Request {a.id}."


# --- the agent
Call = Annotated[str, InjectedToolCallId]


@tool
def refund(charge: str, amount: str, call: Call, config: RunnableConfig) -> str:
    """Pay a charge back."""
    params = {"charge": charge, "amount": amount, "currency": "EUR", "reason": "damaged"}
    why = "The lamp arrived broken."
    key = idempotency_key("langgraph", config["configurable"]["thread_id"], call)  # the gate
    return settled(cs.propose("refund.issue", params, intent=why, key=key))  # the gate


@tool
def answer_reviewer(request: str, answer: str) -> str:
    """Answer a reviewer's question about a request."""
    a = cs.get(request)
    return settled(cs.answer(request, answer) if a.outcome == "needs_agent" else a)


def go(run: runs.Run) -> str | None:
    with sqlite3.connect(runs.FOLDER / "threads.sqlite3", check_same_thread=False) as database:
        agent = create_agent(
            fake_models.for_langchain(),
            [refund, answer_reviewer],
            checkpointer=SqliteSaver(database),
        )
        config: RunnableConfig = {"configurable": {"thread_id": run.name}}
        before = agent.get_state(config)
        if before.values and not before.next:
            return str(before.values["messages"][-1].content)  # it is over
        begin: Any = {"messages": [("user", run.task)]}
        if before.values:  # it was suspended, or killed: then it goes on from its last checkpoint
            begin = Command(resume="look again") if before.interrupts else None
        after = agent.invoke(begin, config, durability="sync")
        return None if "__interrupt__" in after else str(after["messages"][-1].content)


if __name__ == "__main__":
    runs.main(go)
