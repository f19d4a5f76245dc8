"""Processes for the supervisor's tests: `python children.py ROLE DIRECTORY`.

Every process writes a file named after its pid, so that a test can tell who was there and ask
the kernel who still is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType


def serve(directory: Path) -> None:
    """Like a server: forks a worker, both stay until the leader is told, who tells the worker."""
    worker = os.fork()
    if worker == 0:
        _sign(directory, "worker")
        time.sleep(60)
        os._exit(0)

    def stop(number: int, frame: FrameType | None) -> None:
        os.kill(worker, signal.SIGTERM)
        os.waitpid(worker, 0)
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    _sign(directory, "leader")
    time.sleep(60)


def stubborn(directory: Path) -> None:
    """Hears SIGTERM and goes on."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _sign(directory, "stubborn")
    time.sleep(60)


def hopeless(directory: Path) -> None:
    """Dies at once, every time."""
    _sign(directory, "hopeless")
    raise SystemExit(3)


def job(directory: Path) -> None:
    """Has something to do once."""
    _sign(directory, "job")


def failing_job(directory: Path) -> None:
    """Has something to do once, and cannot."""
    _sign(directory, "failing_job")
    raise SystemExit(3)


def late(directory: Path) -> None:
    """Is needed once all is ready, and says whether it was."""
    _sign(directory, "late" if any(directory.glob("*.leader")) else "early")
    time.sleep(60)


def supervise(directory: Path, *roles: str) -> None:
    """The real supervisor over the given roles."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from config.supervisor import Child, Supervisor

    commands = {role: (sys.executable, __file__, role, str(directory)) for role in roles}
    if "missing" in commands:
        commands["missing"] = (str(directory / "no-such-program"),)
    children = [
        Child(role, command, once=role.endswith("job"), later=role == "late")
        for role, command in commands.items()
    ]
    _sign(directory, "supervisor")
    raise SystemExit(
        Supervisor(children, stop_seconds=3).run(
            is_ready=lambda: any(directory.glob("*.leader")),
            when_ready=lambda: (directory / "announced").touch(),
        )
    )


def start(directory: Path, *roles: str) -> subprocess.Popen[str]:
    """For tests: the supervisor in a process of its own."""
    return subprocess.Popen(
        [sys.executable, __file__, "supervise", str(directory), *roles],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _sign(directory: Path, role: str) -> None:
    (directory / f"{os.getpid()}.{role}").touch()
    os.write(1, f"{role} is here\n".encode())  # one write: lines of two processes must not mix


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
