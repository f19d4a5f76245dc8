"""The official MCP client: Countersign is a server whose tools wait for people.

Nothing has to be kept but the arguments: the same call again is the same request while that is open
and for ten minutes after it ended. Whoever may be away for longer names the action by
`_meta["io.countersign/idempotencyKey"]`, as here.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httpx2
import runs
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

PATIENCE = float(os.environ.get("PATIENCE", "20"))  # seconds before the run is put aside


async def converse(run: runs.Run) -> str | None:
    charge, amount, _ = run.task.removeprefix("Refund ").split(" ", 2)
    arguments = {"charge": charge, "amount": amount, "currency": "EUR", "reason": "damaged"}
    headers = {"Authorization": f"Bearer {os.environ['COUNTERSIGN_KEY']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=45) as http:
        address = f"{os.environ['COUNTERSIGN_URL']}/mcp/"
        async with Client(streamable_http_client(address, http_client=http)) as client:
            told: Any = await client.call_tool(
                "refund_issue",
                {**arguments, "intent": "The lamp arrived broken."},
                meta={"io.countersign/idempotencyKey": run.name},
            )
            while told.structured_content["outcome"] in ("open", "needs_agent"):
                request = {"id": told.structured_content["id"]}
                if told.structured_content["outcome"] == "needs_agent":
                    answer = {**request, "answer": "The customer sent a photo."}
                    told = await client.call_tool("countersign_answer", answer)
                    continue
                wait = {**request, "wait": int(min(PATIENCE, 25))}
                told = await client.call_tool("countersign_status", wait)
                if told.structured_content["outcome"] == "open":
                    return None  # people decide; start me again later
            return str(told.content[0].text)


def go(run: runs.Run) -> str | None:
    return asyncio.run(converse(run))


if __name__ == "__main__":
    runs.main(go)
