"""`manage.py up` for real: an empty folder becomes a running system, and stops again."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from config.local_env import write_local_env

pytestmark = [pytest.mark.slow, pytest.mark.once]

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 90


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _up(var_dir: Path, port: int) -> subprocess.Popen[str]:
    """Started with nothing but what a shell on a fresh machine has."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COUNTERSIGN_VAR": str(var_dir), "PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_an_empty_folder_becomes_a_running_system_and_stops(tmp_path: Path) -> None:
    write_local_env(tmp_path)
    port = _free_port()
    with _up(tmp_path, port) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _is_ready(port):
                assert process.poll() is None, "it ended by itself"
                assert time.monotonic() < deadline, "it never became ready"
                time.sleep(0.2)
            time.sleep(1)  # the address is printed once its own look has found it ready
        finally:
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=15)

    assert process.returncode == 0
    assert f"Countersign is up: http://127.0.0.1:{port}/" in said
    assert said.rstrip().endswith("Everything has stopped.")
    assert not _is_ready(port)


def test_a_taken_port_is_one_clear_sentence(tmp_path: Path) -> None:
    write_local_env(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with _up(tmp_path, port) as process:
            said, _ = process.communicate(timeout=_START_SECONDS)

    assert process.returncode == 1
    assert re.search(rf"Port {port}, meant for the web server, cannot be used: .+ PORT=8123", said)
    assert "Traceback" not in said
