"""The command hook: one answer lets a command run, everything else ends with what blocks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.agents.conftest import CLIENT
from tests.agents.server import HANG_UP, Reply, Told, an_action, answering, done, ok, problem

pytestmark = pytest.mark.once

HOOK = CLIENT / "countersign" / "hook.py"
EVENT = {
    "session_id": "s-1",
    "hook_event_name": "PreToolUse",
    "tool_name": "Bash",
    "tool_use_id": "toolu_1",
    "cwd": "/srv/shop",
    "tool_input": {"command": "make deploy", "description": "Deploy the shop.", "timeout": 9000},
}
APPROVED = an_action(state="approved", outcome="needs_agent", message="Approved.")


def grant(**params: str) -> dict[str, Any]:
    agreed = {"command": "make deploy", "directory": "/srv/shop", "host": "build-7", **params}
    return {"grant": {"id": 1, "params": agreed, "fence": 7, "digest": "d", "not_after": "z"}}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def run(
    told: Told | None, state: Path, event: Any = EVENT, **environment: str
) -> subprocess.CompletedProcess[str]:
    known = {
        "PATH": os.environ["PATH"],
        "COUNTERSIGN_KEY": "csk_test",
        "COUNTERSIGN_HOST": "build-7",
        "COUNTERSIGN_HOOK_STATE": str(state),
        "COUNTERSIGN_HOOK_SECONDS": "4",
        **({"COUNTERSIGN_URL": told.url} if told else {}),
        **environment,
    }
    said = event if isinstance(event, str) else json.dumps(event)
    return subprocess.run(
        [sys.executable, "-S", str(HOOK)],
        input=said, env=known, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def paths(told: Told) -> list[str]:
    return [asked.path.rstrip("/").rpartition("/")[2].partition("?")[0] for asked in told.asked]


def test_an_approved_command_runs_with_what_people_agreed_to(state: Path) -> None:
    replies = (ok(APPROVED, 201), ok(grant(command="make check")))
    with answering(*replies) as told:
        ended = run(told, state)

    assert (ended.returncode, ended.stderr) == (0, "")
    decided = json.loads(ended.stdout)["hookSpecificOutput"]
    assert decided["permissionDecision"] == "allow"
    assert decided["updatedInput"] == {
        "command": "make check", "description": "Deploy the shop.", "timeout": 9000,
    }  # fmt: skip
    proposed = told.asked[0].body
    assert proposed["action_type"] == "command.run"
    assert proposed["params"] == {
        "command": "make deploy", "directory": "/srv/shop", "host": "build-7",
    }  # fmt: skip
    assert (proposed["intent"], paths(told)) == ("Deploy the shop.", ["actions", "redeem"])


@pytest.mark.parametrize(
    ("outcome", "code"), [("PostToolUse", "done"), ("PostToolUseFailure", "unknown")]
)
def test_its_end_is_reported_under_its_fence_once(state: Path, outcome: str, code: str) -> None:
    over = {**EVENT, "hook_event_name": outcome, "tool_response": {"stdout": "ok"}}
    with answering(ok(APPROVED, 201), ok(grant()), ok(done())) as told:
        run(told, state)
        ended = run(told, state, over)
        again = run(told, state, over)

    assert (ended.returncode, again.returncode) == (0, 0)
    assert paths(told) == ["actions", "redeem", "report"]
    assert (told.asked[-1].body["fence"], told.asked[-1].body["outcome"]) == (7, code)
    assert list(state.iterdir()) == []


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([ok(an_action(), 201), ok(an_action())], "End your turn"),
        ([ok(an_action(state="rejected", outcome="refused", message="No."), 201)], "No."),
        ([ok(an_action(state="outcome_unknown", outcome="unclear"), 201)], "Not allowed"),
        ([ok(an_action(state="changes_requested", outcome="needs_agent"), 201)], "Not allowed"),
        ([ok(an_action(state="executing"), 201), ok(an_action(state="executing"))], "NOT done"),
        ([ok(APPROVED, 201), problem(409, "drift")], "drift"),
        ([ok(APPROVED, 201), problem(409, "grant_consumed")], "grant_consumed"),
        ([ok(APPROVED, 201), ok({"grant": {}})], "KeyError"),
        ([problem(401, "not_authenticated")], "not_authenticated"),
        ([problem(422, "invalid_proposal")], "invalid_proposal"),
        ([(500, {}, None)], "500"),
        ([(302, {"Location": "/api/v1/elsewhere/"}, None)], "302"),
        ([ok("allow")], "Not allowed"),
        ([HANG_UP], "Not allowed"),
    ],
)
def test_nothing_else_lets_it_run(replies: list[Reply], said: str, state: Path) -> None:
    with answering(*replies) as told:
        ended = run(told, state)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_what_people_moved_elsewhere_does_not_run_here(state: Path) -> None:
    with answering(ok(APPROVED, 201), ok(grant(directory="/srv/other")), ok(done())) as told:
        ended = run(told, state)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert told.asked[-1].body == {"fence": 7, "outcome": "failed"}


def test_what_has_run_is_proposed_anew_and_not_repeated_unasked(state: Path) -> None:
    replies = (ok(done(), Idempotency_Replayed="true"), ok(an_action(), 201), ok(an_action()))
    with answering(*replies) as told:
        ended = run(told, state)

    assert ended.returncode == 2
    keys = [one.headers.get("Idempotency-Key") for one in told.asked if one.method == "POST"]
    assert len(set(keys)) == len(keys) == 2


@pytest.mark.parametrize(
    "event",
    [
        "",
        "not json",
        "[]",
        {},
        {**EVENT, "tool_name": "Write"},
        {**EVENT, "tool_input": {}},
        {**EVENT, "tool_input": {"command": "ls", "dangerouslyDisableSandbox": True}},
        {name: value for name, value in EVENT.items() if name != "tool_use_id"},
        {name: value for name, value in EVENT.items() if name != "cwd"},
    ],
)
def test_an_event_it_does_not_know_is_blocked(event: Any, state: Path) -> None:
    with answering(ok(APPROVED, 201), ok(grant())) as told:
        ended = run(told, state, event)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "redeem" not in paths(told)


@pytest.mark.parametrize(
    "environment",
    [
        {"COUNTERSIGN_URL": ""},
        {"COUNTERSIGN_URL": "http://127.0.0.1:1"},
        {"COUNTERSIGN_KEY": ""},
        {"COUNTERSIGN_HOOK_SECONDS": "soon"},
        {"COUNTERSIGN_HOOK_STATE": "/proc/nowhere"},
    ],
)
def test_a_hook_that_is_set_up_wrongly_blocks(environment: dict[str, str], state: Path) -> None:
    replies = (problem(401, "not_authenticated"),) if "COUNTERSIGN_KEY" in environment else ()
    with answering(*(replies or (ok(APPROVED, 201), ok(grant())))) as told:
        ended = run(told, state, **environment)

    assert (ended.returncode, ended.stdout) == (2, "")


def test_what_takes_too_long_is_blocked_in_time(state: Path) -> None:
    with answering(ok(an_action())) as told:
        ended = run(told, state, COUNTERSIGN_HOOK_SECONDS="0.2")

    assert (ended.returncode, ended.stdout) == (2, "")


def test_it_needs_the_standard_library_alone() -> None:
    source = HOOK.read_text()

    assert "httpx" not in source
    assert "from ." not in source
