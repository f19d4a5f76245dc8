"""On the embedded default a worker does not live on, of no use, after one of its children."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.local_env import write_local_env
from tests.faults.processes import Program, until

pytestmark = pytest.mark.once

WORKER = ("worker", "--pool=prefork", "--concurrency=2", "--loglevel", "INFO")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Program]:
    """A real one, ready, with an empty database of its own."""
    write_local_env(tmp_path / "var")
    var = str(tmp_path / "var")
    env = {"PATH": os.environ["PATH"], "COUNTERSIGN_VAR": var, "LOG_LEVEL": "INFO"}
    command = [sys.executable, "-m", "celery", "-A", "config", *WORKER]
    running = Program(command, env=env, log=tmp_path / "worker.log", inherit=False)
    try:
        running.says("ready", seconds=40)
        until("both children are there", lambda: len(running.children) == 2, seconds=20)
        yield running
    finally:
        running.kill()


def is_alive(pid: int) -> bool:
    """Whether it runs; one that only waits for its parent to look does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return status != "Z"


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_child_ends_the_worker_whoever_held_the_lock(worker: Program, which: int) -> None:
    killed, other = worker.children[which], worker.children[1 - which]

    os.kill(killed, signal.SIGKILL)

    assert worker.ends(seconds=20) == 1
    assert "the worker ends, to begin anew" in worker.log
    until("the other child is gone, too", lambda: not is_alive(other), seconds=10)


def test_told_to_stop_it_ends_as_ever(worker: Program) -> None:
    os.kill(worker.pid, signal.SIGTERM)

    assert worker.ends(seconds=20) == 0
    assert "to begin anew" not in worker.log
