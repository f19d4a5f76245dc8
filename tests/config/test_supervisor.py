"""The supervisor with real processes: what dies comes back, what is stopped leaves nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.config import children

pytestmark = [pytest.mark.slow, pytest.mark.once]


def _eventually(claim: Callable[[], bool], *, within: float) -> None:
    deadline = time.monotonic() + within
    while not claim():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def _pids(directory: Path, role: str = "*") -> set[int]:
    return {int(path.stem) for path in directory.glob(f"*.{role}")}


def _living(pids: set[int]) -> set[int]:
    return {pid for pid in pids if _is_running(pid)}


def _is_running(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has collected yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@contextmanager
def _supervised(directory: Path, *roles: str) -> Iterator[subprocess.Popen[str]]:
    process = children.start(directory, *roles)
    try:
        yield process
    finally:
        process.kill()  # first, or it would start again what is killed next
        process.wait()
        for pid in _living(_pids(directory)):  # whatever the test says, nothing of it stays
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert process.stdout is not None
        process.stdout.close()


def test_a_dead_child_is_started_again(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve"):
        _eventually(lambda: len(_pids(tmp_path, "worker")) == 1, within=10)
        (first,) = _pids(tmp_path, "leader")
        (orphan,) = _pids(tmp_path, "worker")

        os.kill(first, signal.SIGKILL)

        _eventually(lambda: len(_pids(tmp_path, "leader")) == 2, within=10)
        _eventually(lambda: not _is_running(orphan), within=5)


def test_an_errand_that_fails_stops_nobody_else(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve", "failing_errand") as supervisor:
        _eventually(lambda: len(list(tmp_path.glob("*.failing_errand"))) == 5, within=40)
        time.sleep(1)

        assert supervisor.poll() is None
        assert len(_living(_pids(tmp_path, "leader"))) == 1


def test_sigterm_stops_everybody(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve", "errand") as supervisor:
        _eventually(lambda: (tmp_path / "announced").exists(), within=10)
        _eventually(lambda: len(_pids(tmp_path, "worker")) == 1, within=10)
        everybody = _pids(tmp_path)

        supervisor.send_signal(signal.SIGTERM)

        assert supervisor.wait(timeout=10) == 0
        assert _living(everybody) == set()


def test_a_child_that_ignores_sigterm_is_gone_within_ten_seconds(tmp_path: Path) -> None:
    with _supervised(tmp_path, "stubborn") as supervisor:
        _eventually(lambda: len(_pids(tmp_path, "stubborn")) == 1, within=10)

        supervisor.send_signal(signal.SIGINT)

        assert supervisor.wait(timeout=10) == 0
        assert _living(_pids(tmp_path)) == set()


def test_a_killed_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve", "stubborn") as supervisor:
        _eventually(lambda: len(_pids(tmp_path)) == 4, within=10)
        everybody = _pids(tmp_path)

        supervisor.kill()

        _eventually(lambda: _living(everybody) == set(), within=10)


def test_a_child_that_cannot_stay_up_stops_everything(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve", "hopeless") as supervisor:
        said, _ = supervisor.communicate(timeout=30)

        assert supervisor.returncode == 1
        assert "hopeless cannot stay up (exit code 3)" in said
        assert len(_pids(tmp_path, "hopeless")) == 5
        assert _living(_pids(tmp_path)) == set()


def test_an_errand_that_is_done_is_not_repeated_and_lines_carry_names(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve", "errand") as supervisor:
        _eventually(lambda: (tmp_path / "announced").exists(), within=10)
        time.sleep(1.5)  # longer than the first wait before a restart

        supervisor.send_signal(signal.SIGTERM)
        said, _ = supervisor.communicate(timeout=10)

        assert len(_pids(tmp_path, "errand")) == 1
        assert "errand | errand is here\n" in said
        assert "serve  | leader is here\n" in said
