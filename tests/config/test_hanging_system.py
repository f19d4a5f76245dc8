"""A real web server while an outside system hangs: agents wait for it, and people do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from approvals.demo.client import PersonClient
from approvals.domain.target_reader import AT_ONCE_PER_SYSTEM, READ_SECONDS
from tests.approvals.make import refund
from tests.faults.processes import Program, free_block, free_port, until
from tests.hanging import HangingSystem, hanging_system

pytestmark = [pytest.mark.slow, pytest.mark.once]

PREFLIGHTS = 12
"""More than a web process has threads."""

_INSTALL = (
    "from audit.actors import Actor; from policies.services.versions import install_default; "
    "install_default(actor=Actor.system('up'))"
)


@pytest.fixture
def payments() -> Iterator[HangingSystem]:
    with hanging_system(free_block()) as system:
        yield system


@pytest.fixture
def web(tmp_path: Path, payments: HangingSystem) -> Iterator[tuple[str, Path]]:
    """The demo world behind gunicorn, with a payments system that never answers."""
    port = free_port()
    (tmp_path / "static").mkdir()
    env = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'web.sqlite3'}",
        "BROKER_URL": "filesystem://",
        "COUNTERSIGN_VAR": str(tmp_path),
        "PORT": str(port),
        "SANDBOX_PORT_BASE": str(payments.port),
        "CONNECTOR_TIMEOUT_SECONDS": "60",  # what hangs does so for the whole test
        "TASK_TIME_LIMIT_SECONDS": "100",
        "EXECUTION_LEASE_SECONDS": "190",
    }
    for words in (
        ("migrate", "--verbosity=0"),
        ("sync_roles",),
        ("shell", "--verbosity=0", "-c", _INSTALL),
        ("load_demo",),
    ):
        subprocess.run([sys.executable, "manage.py", *words], env=os.environ | env, check=True)
    server = Program(
        [sys.executable, "-m", "gunicorn", "-c", "python:config.web_server", "config.wsgi"],
        env=env,
        log=tmp_path / "web.log",
    )
    try:
        address = f"http://127.0.0.1:{port}"
        until("the web server", lambda: _is_alive(address), seconds=240)
        yield address, tmp_path / "demo.json"
    finally:
        server.kill()


def test_pages_are_answered_while_preflights_wait(
    web: tuple[str, Path], payments: HangingSystem
) -> None:
    address, demo = web
    keys = {agent["name"]: agent["key"] for agent in json.loads(demo.read_text())["agents"]}

    def preflight(number: int) -> tuple[int, float]:
        began = time.monotonic()
        answer = httpx.post(
            f"{address}/api/v1/actions/check/",
            json={
                "action_type": "refund.issue",
                "params": refund(f"ch_10{number + 10}"),
                "intent": "The customer sent a photo of the broken item.",
            },
            headers={"Authorization": f"Bearer {keys['refund-bot']}"},
            timeout=60,
            trust_env=False,
        )
        return answer.status_code, time.monotonic() - began

    with (
        closing(PersonClient(address, "fiona", "countersign-demo")) as fiona,
        ThreadPoolExecutor(PREFLIGHTS) as agents,
    ):
        asked = [agents.submit(preflight, number) for number in range(PREFLIGHTS)]
        until("the system to hang", lambda: payments.callers, seconds=30)
        pages = []
        while not all(answer.done() for answer in asked):
            began = time.monotonic()
            fiona._http.get("/admin/").raise_for_status()
            pages.append(time.monotonic() - began)
        answers = [answer.result() for answer in asked]

    assert [status for status, _ in answers] == [200] * PREFLIGHTS
    assert len(payments.callers) == AT_ONCE_PER_SYSTEM  # so many threads waited, and no more
    waited = sorted(seconds for _, seconds in answers)
    assert waited[PREFLIGHTS // 2] < READ_SECONDS, waited  # most were told at once
    assert pages
    assert sorted(pages)[len(pages) // 2] < 1.0, pages
    assert max(pages) < READ_SECONDS, pages


def _is_alive(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
    return False
