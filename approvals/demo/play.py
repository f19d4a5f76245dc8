"""The scripted day: agents propose over HTTP, and a few colleagues decide in the admin.

`python -m approvals.demo.play` needs nothing but the addresses and keys in var/demo.json. Every
step looks where things stand first, so a restart carries on instead of repeating.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from approvals.demo.client import AgentClient, PersonClient
from approvals.demo.world import CASES, Case

_PATIENCE = 45.0  # seconds to wait for one step
_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The next write of that kind to a system fails in that way."""

    system: str
    mode: str
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Step:
    """What a colleague does with a case that stands where they can."""

    case: str
    person: str
    what: str  # the form they send
    fields: dict[str, str]
    breaks: tuple[Breakdown, ...] = ()
    """What fails next at an outside system, before they do it."""


COLLEAGUES: tuple[Step, ...] = (
    Step(
        "demo-config-wrong",
        "sven",
        "reject",
        {
            "reason_code": "not_justified",
            "comment": "Payments time out because 30 s is too short. Propose a longer timeout.",
        },
    ),
    Step(
        "demo-question",
        "omar",
        "ask",
        {"question": "The order says 1 and the customer bought 1 before. Who said twelve?"},
    ),
    Step(
        "demo-robot",
        "olive",
        "supply",
        {
            "kind": "hazard_check",
            "title": "Zone B looked at",
            "text": "Nobody is in zone B, the emergency exit stays usable, the barrier is closed.",
            "uri": "",
        },
    ),
    Step("demo-robot", "omar", "approve", {"reason_code": "as_proposed", "comment": ""}),
    Step("demo-robot", "max", "approve", {"reason_code": "as_proposed", "comment": ""}),
    Step("demo-failed", "felix", "approve", {"reason_code": "as_proposed", "comment": ""}),
    Step(
        "demo-failed",
        "max",
        "approve",
        {"reason_code": "as_proposed", "comment": ""},
        breaks=(Breakdown("payments", "refuse", "/v1/transfers"),),
    ),
    Step("demo-signed-off-next", "sara", "approve", {"reason_code": "as_proposed", "comment": ""}),
    Step("demo-signed-off-next", "olive", "approve", {"reason_code": "as_proposed", "comment": ""}),
    # the write fails in a way that tells nothing, and its repeat is refused
    Step(
        "demo-unknown",
        "olive",
        "approve",
        {"reason_code": "as_proposed", "comment": ""},
        breaks=(Breakdown("logistics", "error_500"), Breakdown("logistics", "refuse")),
    ),
)


class Day:
    """The demo's day, told in steps."""

    def __init__(self, summary: dict[str, Any]) -> None:
        self._base_url: str = summary["base_url"]
        self._sandbox: dict[str, str] = summary["sandbox"]
        self._agents = {a["name"]: AgentClient(self._base_url, a["key"]) for a in summary["agents"]}
        self._passwords = {a["username"]: a["password"] for a in summary["accounts"]}
        self._people: dict[str, PersonClient] = {}
        self._ids: dict[str, str] = {}
        self._opened: list[Case] = []  # by this run; visitors have their hands on older ones

    def play(self) -> None:
        """Everything, in order."""
        self._await("Countersign to be ready", self._is_ready)
        for case in CASES:
            if not case.after:
                self._propose(case)
        self._withdraw("demo-withdrawn")
        for step in COLLEAGUES:
            self._take(step)
        for case in CASES:
            if case.after:
                self._await(f"{case.after} to be decided", partial(self._has_ended, case.after))
                self._propose(case)
        self._undo("demo-undone")
        standing = sum(
            self._await(f"{case.key} to be {case.becomes}", partial(self._stands_at, case))
            for case in self._opened
        )
        _say(f"{standing} of {len(self._opened)} new cases stand where the walkthrough says.")

    def _propose(self, case: Case) -> None:
        agent = self._agents[case.agent]
        answer = agent.find(session=case.key)
        if answer is None:
            answer = agent.propose(case.message(), key=case.key)
            self._opened.append(case)
        self._ids[case.key] = answer["id"]
        _say(f"{case.agent}: {case.title} -> {answer['state']}")

    def _take(self, step: Step) -> None:
        story = self._story(step.case)
        if story["state"] != "pending_approval":
            return
        for breakdown in step.breaks:
            self._break_down(breakdown)
        person = self._person(step.person)
        try:
            person.decide(self._ids[step.case], step.what, step.fields)
        except LookupError:
            _say(f"{step.person} has decided on {step.case} already")
            return
        _say(f"{step.person}: {step.what} {step.case}")

    def _withdraw(self, key: str) -> None:
        if self._state(key) == "pending_approval":
            self._agent_of(key).post(self._ids[key], "withdraw", {"reason": "The customer wrote."})

    def _undo(self, key: str) -> None:
        self._await(f"{key} to be done", lambda: self._state(key) in ("audited", "compensated"))
        if self._state(key) == "audited":
            self._agent_of(key).post(self._ids[key], "undo", {"reason": "Signed up by mistake."})

    def _break_down(self, planned: Breakdown) -> None:
        httpx.post(
            f"{self._sandbox[planned.system]}/_faults",
            json={"mode": planned.mode, "method": "POST", "path": planned.path, "times": 1},
            timeout=5.0,
            trust_env=False,
        ).raise_for_status()

    def _person(self, username: str) -> PersonClient:
        if username not in self._people:
            password = self._passwords[username]
            self._people[username] = PersonClient(self._base_url, username, password)
        return self._people[username]

    def _agent_of(self, key: str) -> AgentClient:
        return self._agents[next(c.agent for c in CASES if c.key == key)]

    def _story(self, key: str) -> dict[str, Any]:
        return self._agent_of(key).get(self._ids[key])

    def _state(self, key: str) -> str:
        return str(self._story(key)["state"])

    def _stands_at(self, case: Case) -> bool:
        return self._state(case.key) == case.becomes

    def _has_ended(self, key: str) -> bool:
        return self._state(key) in ("rejected", "expired", "denied", "withdrawn")

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self._base_url}/readyz", timeout=5.0, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _await(self, what: str, condition: Callable[[], bool]) -> bool:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(_PAUSE)
        _say(f"waited {_PATIENCE:g} s for {what}; going on")
        return False


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Play the day once."""
    var = Path(os.environ.get("COUNTERSIGN_VAR", "var"))
    Day(json.loads((var / "demo.json").read_text())).play()
    return 0


if __name__ == "__main__":
    sys.exit(main())
