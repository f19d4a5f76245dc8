"""Stops the supervisor's children when the supervisor itself is gone.

A supervisor killed with SIGKILL cannot clean up, and children of an ordinary process live on. So
it starts this process first and keeps a pipe to it open: the kernel closes the pipe however its
writer ends, which is the one death notice that nothing can suppress. PR_SET_PDEATHSIG would
reach the direct children only, not the workers those have forked, and exists on Linux alone.

The pipe carries one line per change: `+PID` for a started process group, `-PID` for one that is
gone. Run as a file and with the standard library only, so that it starts in milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection, Iterable


def main(lines: Iterable[str], *, grace: float) -> None:
    """Keep the list; when the pipe ends, end every group that is still on it."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    end_groups(groups, grace=grace)


def end_groups(groups: Collection[int], *, grace: float) -> None:
    """Ask every group's leader to stop, wait up to `grace` seconds, then kill what is left.

    Leaders only, at first: Celery's and gunicorn's masters wind their own workers down, and a
    signal to the workers themselves would cut off what they are doing.
    """
    for group in groups:
        _signal(os.kill, group, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(map(is_alive, groups)):
        time.sleep(0.05)
    for group in groups:
        _signal(os.killpg, group, signal.SIGKILL)


def is_alive(group: int) -> bool:
    """Whether any process of the group is left."""
    return _signal(os.killpg, group, 0)


def _signal(send: object, target: int, number: int) -> bool:
    try:
        send(target, number)  # type: ignore[operator]
    except ProcessLookupError:
        return False  # already gone, which is what was wanted
    except PermissionError:
        return True  # macOS says so of a group of zombies
    return True


if __name__ == "__main__":
    main(sys.stdin, grace=float(sys.argv[1]))
