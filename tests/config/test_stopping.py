"""`manage.py up` is told to stop while requests are being answered: each is answered whole."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
from pytest_django.fixtures import Settings

from approvals.api.waiting import LONGEST_WAIT
from config.local_env import write_local_env
from config.supervisor import STOP_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.once]

ROOT = Path(__file__).resolve().parents[2]
HALF_A_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LONGER_THAN_ONCE_ALLOWED = 6.0
"""Seconds: what was still being answered after five used to be cut off."""


def test_every_limit_outlasts_what_it_waits_for(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]  # pytest adds a host, and reading the file checks them
    from config import web_server

    assert LONGEST_WAIT < web_server.graceful_timeout < STOP_SECONDS


def test_requests_in_flight_are_answered_whole_after_sigterm(tmp_path: Path, migrated: str) -> None:
    write_local_env(tmp_path)
    shutil.copy(migrated, tmp_path / "countersign.sqlite3")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "COUNTERSIGN_VAR": str(tmp_path), "PORT": str(port)}
    log = tmp_path / "up.log"
    with log.open("w") as output:
        up = subprocess.Popen(
            [sys.executable, "manage.py", "up"], cwd=ROOT, env=env, stdout=output, stderr=output
        )
    with ExitStack() as closed:
        closed.callback(up.wait)
        closed.callback(up.terminate)
        until_ready(port, up)
        key = agent_key(env)
        request_id = a_request_for_people(port, key)

        poll = closed.enter_context(closing(connection_for(port)))
        poll.request(
            "GET",
            f"/api/v1/actions/{request_id}/?wait={LONGEST_WAIT:g}",
            headers={"Authorization": f"Bearer {key}"},
        )
        slow = closed.enter_context(socket.create_connection(("127.0.0.1", port), timeout=90))
        slow.sendall(HALF_A_REQUEST)
        # One process accepts in order: when this is answered, the two before it are being read.
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        up.send_signal(signal.SIGTERM)
        polled = poll.getresponse()
        answer = json.loads(polled.read())
        time.sleep(LONGER_THAN_ONCE_ALLOWED)  # a client's slowness: nothing to wait for
        slow.sendall(b"\r\n")
        finished = http.client.HTTPResponse(slow)
        finished.begin()

        assert (polled.status, answer["id"]) == (200, request_id)
        assert (finished.status, json.loads(finished.read())) == (200, {"status": "alive"})
        assert up.wait(timeout=STOP_SECONDS + 20) == 0, log.read_text()


def connection_for(port: int) -> http.client.HTTPConnection:
    """A client that would not wait for the end of its long poll: stopping answers it early."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_WAIT - 10)


def until_ready(port: int, up: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while True:
        assert up.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline, "it never became ready"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass  # nobody listens yet
        time.sleep(0.2)


def agent_key(env: dict[str, str]) -> str:
    made = subprocess.run(
        [sys.executable, "-m", "tests.config.agent_key"],
        cwd=ROOT, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return made.stdout.strip().splitlines()[-1]


def a_request_for_people(port: int, key: str) -> str:
    """Proposed over HTTP; its target cannot be read here, so it waits for people."""
    from tests.approvals.make import refund

    answer = httpx.post(
        f"http://127.0.0.1:{port}/api/v1/actions/",
        json={
            "action_type": "refund.issue",
            "params": refund("ch_1001", "900.00"),
            "intent": "The customer sent a photo of the broken item.",
        },
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "before-the-stop"},
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found
