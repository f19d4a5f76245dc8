"""An agent's first five minutes, as the README tells them: the very commands, in a shell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from django.urls import reverse
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from connectors.sandbox.server import Sandbox
from tests.peers.peer import absent

pytestmark = pytest.mark.usefixtures("transactional_db")

ROOT = Path(__file__).parents[2]
_WRITTEN = re.compile(
    r"<!-- first proposal:.*?-->\n\n```sh\n(.*?)```\n\n<!-- end of first proposal -->", re.S
)


def commands() -> str:
    found = _WRITTEN.search((ROOT / "README.md").read_text())
    assert found is not None
    return found[1]


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_registered_given_a_key_and_proposing_by_the_commands_of_the_readme(
    live_server: LiveServer, sandbox: Sandbox, settings: Settings, tmp_path: Path
) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        absent("curl or bash is not installed")
    from approvals.models import ActionRequest, Agent
    from tests.admin.visit import said, visit
    from tests.approvals.make import make_house, make_person

    settings.BASE_URL = live_server.url
    make_house()
    make_person("fiona", "finance")
    make_person("sam", "support")
    owner = make_person("olga", "agent owner")
    begun = time.monotonic()

    client = visit(owner)
    asked = {"name": "my-first", "owner": str(owner.pk), "team": "support"}
    client.post(reverse("admin:approvals_agent_add"), asked | {"action_types": ["refund.issue"]})
    agent = Agent.objects.get()
    issued = client.post(
        reverse("admin:approvals_agent_issue_key", args=[agent.pk]), {"days": "90"}
    )
    key = re.search(r"csk_[0-9a-f]{10}_[\w-]+", said(issued))
    assert key is not None
    script = commands().replace("http://127.0.0.1:8000", live_server.url)
    script = script.replace("csk_...", key[0]).replace("wait=25", "wait=1")
    done = run(script, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    request = ActionRequest.objects.get()
    told = json.loads((tmp_path / "first.json").read_text())
    assert (request.agent, request.state) == (agent, "pending_approval")
    assert told["id"] == str(request.pk)
    assert done.stdout.rstrip().endswith("open")
    assert told["message"] in done.stdout
    assert told["review_url"] in done.stdout
    assert agent.keys.get().last_used_at is not None
    assert time.monotonic() - begun < 300


def test_with_a_wrong_key_the_commands_stop_and_say_why(
    live_server: LiveServer, tmp_path: Path
) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        absent("curl or bash is not installed")

    done = run(commands().replace("http://127.0.0.1:8000", live_server.url), tmp_path)

    assert done.returncode != 0
    assert "not_authenticated" in done.stdout
