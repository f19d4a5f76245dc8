"""Long polling: hold an answer until the state changes, without holding up everybody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

from approvals.models import ActionRequest

LONGEST_WAIT = 30.0  # seconds
PLACES: int = settings.WEB_THREADS // 2
"""Half the threads of a web process may wait; the others always answer."""
NOT_WAITED = {"Retry-After": "15", "Countersign-Waited": "no"}
"""Headers of the answer to whoever found no place: to ask again at once would find none either."""
_PAUSE = 0.25

_waiting: set[int] = set()
_lock = threading.Lock()
_stopping = threading.Event()


def end_all_waits() -> None:
    """Answer everybody who waits now: this process is about to stop."""
    _stopping.set()


def wait_for_change(request_id: UUID, state: str, seconds: float, *, agent_id: int) -> bool:
    """Return when the request has left `state`, the time is over or the process stops.

    False, at once, when no place is free to wait in.
    """
    now = ActionRequest.objects.filter(pk=request_id).values_list("state", flat=True)
    return wait_until(lambda: now.all().first() != state, seconds, agent_id=agent_id)


def wait_until(is_over: Callable[[], bool], seconds: float, *, agent_id: int) -> bool:
    """Return when it is over, the time is over or the process stops.

    False, at once, when no place is free to wait in.
    """
    with place_for(agent_id) as found:
        if not found:
            return False
        end = time.monotonic() + min(seconds, LONGEST_WAIT)
        while time.monotonic() < end:
            if is_over() or _stopping.wait(_PAUSE):
                break
        return True


@contextmanager
def place_for(agent_id: int) -> Iterator[bool]:
    """Take one of this process's places; False when all are taken or the agent has one already.

    One each: an agent that polls for many requests at once does not crowd out the other agents.
    """
    with _lock:
        found = agent_id not in _waiting and len(_waiting) < PLACES
        if found:
            _waiting.add(agent_id)
    try:
        yield found
    finally:
        if found:
            with _lock:
                _waiting.remove(agent_id)
