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

from config.supervisor import STEADY_SECONDS, Restarts
from tests.config import children

pytestmark = [pytest.mark.slow, pytest.mark.once]


def _eventually(claim: Callable[[], bool], *, within: float = 60.0) -> None:
    """Wait for it; the bound only ends a run in which it never comes."""
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
        stat = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # gone meanwhile, or a system without /proc
        return not Path("/proc/self").exists()
    return stat.rpartition(")")[2].split()[0] != "Z"


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
        _eventually(lambda: len(_pids(tmp_path, "worker")) == 1)
        (first,) = _pids(tmp_path, "leader")
        (orphan,) = _pids(tmp_path, "worker")

        os.kill(first, signal.SIGKILL)

        _eventually(lambda: len(_pids(tmp_path, "leader")) == 2)
        _eventually(lambda: not _is_running(orphan))


def test_what_nobody_needs_before_all_is_ready_is_started_then(tmp_path: Path) -> None:
    with _supervised(tmp_path, "late", "serve"):
        _eventually(lambda: len(_pids(tmp_path, "late")) == 1)

        assert _pids(tmp_path, "early") == set()


def test_a_job_that_fails_stops_nobody_else(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve", "failing_job") as supervisor:
        _eventually(lambda: len(list(tmp_path.glob("*.failing_job"))) == 5)
        time.sleep(1)

        assert supervisor.poll() is None
        assert len(_living(_pids(tmp_path, "leader"))) == 1


def test_sigterm_stops_everybody(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve", "job") as supervisor:
        _eventually(lambda: (tmp_path / "announced").exists())
        _eventually(lambda: len(_pids(tmp_path, "worker")) == 1)
        everybody = _pids(tmp_path)

        supervisor.send_signal(signal.SIGTERM)

        assert supervisor.wait(timeout=60) == 0
        assert _living(everybody) == set()


def test_a_child_that_ignores_sigterm_is_gone_within_ten_seconds(tmp_path: Path) -> None:
    with _supervised(tmp_path, "stubborn") as supervisor:
        _eventually(lambda: len(_pids(tmp_path, "stubborn")) == 1)

        supervisor.send_signal(signal.SIGINT)

        assert supervisor.wait(timeout=10) == 0
        assert _living(_pids(tmp_path)) == set()


def test_a_killed_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve", "stubborn") as supervisor:
        _eventually(lambda: len(_pids(tmp_path)) == 4)
        everybody = _pids(tmp_path)

        supervisor.kill()

        _eventually(lambda: _living(everybody) == set())


@pytest.mark.parametrize("part", ["hopeless", "missing"])
def test_a_part_that_keeps_dying_stops_no_other(tmp_path: Path, part: str) -> None:
    with _supervised(tmp_path, "serve", part) as supervisor:
        said = _lines_until("5 times in a row; starting it again in 8 s.", supervisor)

        assert supervisor.poll() is None
        assert len(_living(_pids(tmp_path, "leader"))) == 1
        assert len(_pids(tmp_path, "leader")) == 1  # and it was not started anew meanwhile
        waits = [line.rpartition(" in ")[2] for line in said if "starting it again" in line]
        assert waits == ["0.5 s.\n", "1 s.\n", "2 s.\n", "4 s.\n", "8 s.\n"]


def test_waits_grow_to_a_cap_and_begin_anew_after_a_steady_run() -> None:
    restarts = Restarts()

    waits = [restarts.wait_after(lived=0.1) for _ in range(2000)]
    after_a_steady_run = restarts.wait_after(lived=STEADY_SECONDS)

    assert waits[:7] == [0.5, 1, 2, 4, 8, 15, 15]
    assert waits[-1] == 15  # for as long as it takes
    assert after_a_steady_run == 0.5
    assert restarts.wait_after(lived=0.1) == 1


def test_a_start_that_never_became_ready_is_given_up(tmp_path: Path) -> None:
    with _supervised(tmp_path, "stubborn", "hopeless") as supervisor:
        said, _ = supervisor.communicate(timeout=60)

        assert supervisor.returncode == 1
        assert "hopeless ended with exit code 3, 5 times in a row" in said
        assert "hopeless cannot stay up: stopping everything." in said
        assert not (tmp_path / "announced").exists()
        assert _living(_pids(tmp_path)) == set()


def test_a_guard_that_was_killed_is_replaced_and_guards_everybody(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve") as supervisor:
        _eventually(lambda: len(_pids(tmp_path, "worker")) == 1)
        (first,) = _guards(supervisor.pid)

        os.kill(first, signal.SIGKILL)
        _eventually(lambda: _guards(supervisor.pid) - {first} != set())
        everybody = _pids(tmp_path)
        supervisor.kill()

        _eventually(lambda: _living(everybody) == set())


def _guards(supervisor: int) -> set[int]:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return {int(pid) for pid in children if "guard.py" in _command(pid)}


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
        return ""


def _lines_until(words: str, supervisor: subprocess.Popen[str]) -> list[str]:
    """What it says up to and with the line that holds the words."""
    assert supervisor.stdout is not None
    said: list[str] = []
    for line in supervisor.stdout:
        said.append(line)
        if words in line:
            return said
    raise AssertionError(f"It never said {words!r} but: {''.join(said)}")


def test_a_job_that_is_done_is_not_repeated_and_lines_carry_names(tmp_path: Path) -> None:
    with _supervised(tmp_path, "serve", "job") as supervisor:
        _eventually(lambda: (tmp_path / "announced").exists())
        time.sleep(1.5)  # longer than the first wait before a restart

        supervisor.send_signal(signal.SIGTERM)
        said, _ = supervisor.communicate(timeout=60)

        assert len(_pids(tmp_path, "job")) == 1
        assert "job   | job is here\n" in said
        assert "serve | leader is here\n" in said
