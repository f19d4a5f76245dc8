"""The README's agent that signs: its very code, in a process of its own, over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from connectors.sandbox.server import Sandbox

pytestmark = pytest.mark.usefixtures("transactional_db")

ROOT = Path(__file__).parents[2]
_WRITTEN = re.compile(
    r"<!-- signed proposal:.*?-->\n\n```python\n(.*?)```\n\n<!-- end of signed proposal -->", re.S
)


def test_the_readmes_agent_signs_and_is_believed(
    live_server: LiveServer, sandbox: Sandbox, settings: Settings, tmp_path: Path
) -> None:
    from approvals.models import ActionRequest, Agent
    from approvals.services.agents import change_agent
    from tests.approvals.make import INSTALLER, make_agent, make_house, make_limit, make_person
    from tests.approvals.signing import make_signer

    settings.BASE_URL = live_server.url
    make_house()
    make_limit(make_person("mona", "manager"), "5000.00")
    agent = make_agent(make_person("olga", "agent owner"))
    signer = make_signer(agent)
    change_agent(
        agent.pk, actor=INSTALLER, owner=agent.owner, team=agent.team, model=agent.model,
        action_types=agent.action_types, ceiling=agent.ceiling, signatures_required=True,
    )  # fmt: skip
    assert Agent.objects.get().signatures_required
    (tmp_path / "key.pem").write_bytes(
        signer.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    written = _WRITTEN.search((ROOT / "README.md").read_text())
    assert written is not None
    environment = {
        **os.environ,
        "COUNTERSIGN_URL": live_server.url,
        "COUNTERSIGN_KEY": signer.bearer,
        "SIGNING_KEY_ID": signer.key_id,
    }

    done = subprocess.run(
        [sys.executable, "-c", written[1]],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert ActionRequest.objects.get().contents.get(version=1).signed_with == signer.key_id
