"""The gate and the hook against the real thing: people decide in between, and it happens once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from countersign import Countersign, NotDone, Pending, calling
from pytest_django.fixtures import Settings

from connectors.sandbox.server import Sandbox
from tests.agents.conftest import CLIENT

if TYPE_CHECKING:
    from tests.approvals.make import Cast

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def house(sandbox: Sandbox, settings: Settings) -> Cast:
    from tests.approvals.agents_own import rules_for_commands
    from tests.approvals.make import make_cast

    settings.SYSTEMS = ("workstation",)
    cast = make_cast()
    rules_for_commands(
        cast, ("evidence: [diff, {kind: risk_analysis, by: anyone}]", "evidence: []")
    )
    return cast


@pytest.fixture
def key(house: Cast) -> str:
    from tests.approvals.agents_own import make_coder
    from tests.approvals.make import make_key

    return make_key(make_coder(house))


def the_request() -> Any:
    from approvals.models import ActionRequest

    return ActionRequest.objects.get(action_type="command.run")


def test_a_gated_function_runs_once_after_people_said_yes(
    live_server: Any, house: Cast, key: str
) -> None:
    from tests.approvals.make import approve

    ran: list[str] = []

    @Countersign(live_server.url, key).gate("command.run", intent="The release is due.", within=0)
    def run(command: str, directory: str, host: str) -> str:
        ran.append(command)
        return "build-4711"

    def call() -> Any:
        with calling("run", 1):
            return run("make deploy", "/srv/shop", "build-7")

    with pytest.raises(Pending):
        call()
    approve(the_request(), house.sara, house.otto)
    assert call() == "build-4711"
    assert call()["outcome"] == "done"
    assert (ran, the_request().state) == (["make deploy"], "executed")


def test_a_gated_function_never_runs_after_a_no(live_server: Any, house: Cast, key: str) -> None:
    from tests.approvals.make import reject

    ran: list[str] = []
    gate = Countersign(live_server.url, key).gate("command.run", intent="x", within=0)
    run = gate(lambda command, directory, host: ran.append(command))
    with calling("run", 1):
        with pytest.raises(Pending):
            run("make deploy", "/srv/shop", "build-7")
        reject(the_request(), house.otto)
        with pytest.raises(NotDone):
            run("make deploy", "/srv/shop", "build-7")

    assert ran == []


def test_the_hook_lets_an_approved_command_run_once(
    live_server: Any, house: Cast, key: str, tmp_path: Path
) -> None:
    from tests.approvals.make import approve

    def hook(name: str, number: int) -> subprocess.CompletedProcess[str]:
        event = {
            "session_id": "s", "hook_event_name": name, "tool_name": "Bash", "cwd": "/srv/shop",
            "tool_use_id": f"toolu_{number}", "tool_input": {"command": "make deploy"},
        }  # fmt: skip
        environment = {
            "PATH": os.environ["PATH"], "COUNTERSIGN_URL": live_server.url,
            "COUNTERSIGN_KEY": key, "COUNTERSIGN_HOST": "build-7",
            "COUNTERSIGN_HOOK_STATE": str(tmp_path), "COUNTERSIGN_HOOK_SECONDS": "4",
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, str(CLIENT / "countersign" / "hook.py")],
            input=json.dumps(event), env=environment, capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip

    waiting = hook("PreToolUse", 1)
    approve(the_request(), house.sara, house.otto)
    allowed = hook("PreToolUse", 2)
    state = the_request().state
    meanwhile = hook("PreToolUse", 3)
    ended = hook("PostToolUse", 2)

    assert (waiting.returncode, meanwhile.returncode) == (2, 2)
    assert "End your turn" in waiting.stderr
    assert (allowed.returncode, allowed.stderr, state) == (0, "", "executing")
    assert (ended.returncode, the_request().state) == (0, "executed")
