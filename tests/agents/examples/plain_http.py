"""No framework and no client: the REST API is all an agent needs, in any language.

What survives is the run's name. The Idempotency-Key made from it finds the same request again, so
whoever starts over after a crash does not act twice.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import httpx
import runs

API = httpx.Client(
    base_url=f"{os.environ['COUNTERSIGN_URL']}/api/v1/",
    headers={"Authorization": f"Bearer {os.environ['COUNTERSIGN_KEY']}"},
    timeout=45,  # longer than the longest wait
    trust_env=False,
)
PATIENCE = float(os.environ.get("PATIENCE", "20"))  # seconds before the run is put aside


def go(run: runs.Run) -> str | None:
    charge, amount, _ = run.task.removeprefix("Refund ").split(" ", 2)
    proposal = {
        "action_type": "refund.issue",
        "params": {"charge": charge, "amount": amount, "currency": "EUR", "reason": "damaged"},
        "intent": "The lamp arrived broken.",
    }
    if "at once" in run.task:  # a replay must be the same proposal, so the time is remembered
        if not run.saved():
            run.save((datetime.now(UTC) + timedelta(seconds=5)).isoformat())
        proposal["decide_by"] = run.saved()
    answer = API.post("actions/", json=proposal, headers={"Idempotency-Key": run.name})
    answer.raise_for_status()
    action = answer.json()
    ends = time.monotonic() + PATIENCE
    while not action["final"]:
        if action["outcome"] == "unclear":
            break  # people find out; never repeat it
        if action["outcome"] == "needs_agent":
            said = {"answer": "The customer sent a photo."}  # to action["question"]["text"]
            action = API.post(f"actions/{action['id']}/answer/", json=said).json()
        elif (left := int(ends - time.monotonic())) > 0:
            waited = API.get(f"actions/{action['id']}/", params={"wait": min(left, 25)})
            if waited.headers.get("Countersign-Waited") == "no":  # all places are taken
                time.sleep(min(left, int(waited.headers["Retry-After"])))
            action = waited.json()
        else:
            return None  # people decide; start me again later
    return str(action["message"])


if __name__ == "__main__":
    runs.main(go)
