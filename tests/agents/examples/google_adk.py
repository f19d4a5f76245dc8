"""Google ADK: a long-running tool ends the turn as pending; its result is sent later.

Traps. After a pending answer ADK calls the model again, so that answer must say that nothing is
done. A tool runs at least once when a run is taken up again: killed in between, the model's call
has another id, so the key is made of what is called.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import fake_models
import runs
from countersign import Action, AsyncCountersign, Unsettled, idempotency_key
from google.adk.agents import LlmAgent
from google.adk.runners import Runner
from google.adk.sessions import DatabaseSessionService
from google.adk.tools import LongRunningFunctionTool
from google.genai import types

APP, USER = "refunds", "countersign"
PATIENCE = float(os.environ.get("PATIENCE", "20"))  # seconds before the run is put aside
cs = AsyncCountersign()


async def settled(a: Action) -> dict[str, Any]:
    """What the tool answers; `waits` while people decide."""
    try:
        return {"said": (await cs.settle(a, within=PATIENCE)).message}
    except Unsettled as how:
        waits = how.action.outcome == "open"
        return {"said": f"{how} {how.action.question or ''}", "request": a.id, "waits": waits}


async def converse(run: runs.Run) -> str | None:
    async def refund(charge: str, amount: str) -> dict[str, Any]:
        """Pay a charge back."""
        params = {"charge": charge, "amount": amount, "currency": "EUR", "reason": "damaged"}
        key = idempotency_key("google-adk", run.name, "refund", charge, amount)
        why = "The lamp arrived broken."
        return await settled(await cs.propose("refund.issue", params, intent=why, key=key))

    async def answer_reviewer(request: str, answer: str) -> dict[str, Any]:
        """Answer a reviewer's question about a request."""
        a = await cs.get(request)
        return await settled(await cs.answer(request, answer) if a.outcome == "needs_agent" else a)

    tools = [LongRunningFunctionTool(refund), LongRunningFunctionTool(answer_reviewer)]
    agent = LlmAgent(name=APP, model=fake_models.for_google_adk(), tools=tools)
    sessions = DatabaseSessionService(f"sqlite+aiosqlite:///{runs.FOLDER / 'adk.sqlite3'}")
    runner = Runner(app_name=APP, agent=agent, session_service=sessions)
    named = {"user_id": USER, "session_id": run.name}
    if run.saved():
        waiting = json.loads(run.saved())
        result = await settled(await cs.get(waiting["request"]))
        if result.get("waits"):
            return None  # start me again later
        answer = types.FunctionResponse(id=waiting["id"], name=waiting["name"], response=result)
        turn = types.Part(function_response=answer)
    else:  # nothing is waited for yet: whatever was begun begins anew
        await sessions.delete_session(app_name=APP, **named)
        await sessions.create_session(app_name=APP, **named)
        turn = types.Part(text=run.task)
    said = ""
    waiting = None
    message = types.Content(role="user", parts=[turn])
    async for event in runner.run_async(**named, new_message=message):
        for part in (event.content and event.content.parts) or ():
            response = part.function_response
            if response and response.response and response.response.get("waits"):
                waiting = {
                    "id": response.id,
                    "name": response.name,
                    "request": response.response["request"],
                }
            said = part.text or said
    if waiting:
        run.save(json.dumps(waiting))
        return None
    return said


def go(run: runs.Run) -> str | None:
    return asyncio.run(converse(run))


if __name__ == "__main__":
    runs.main(go)
