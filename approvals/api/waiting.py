"""Long polling: hold an answer until the state changes, without holding up everybody else."""

from __future__ import annotations

import threading
import time
from uuid import UUID

from approvals.models import ActionRequest

LONGEST_WAIT = 30.0  # seconds
_PAUSE = 0.25
_PLACES = threading.BoundedSemaphore(4)
"""Half the threads of a web process may wait; whoever finds no place is answered at once."""


def wait_for_change(request_id: UUID, state: str, seconds: float) -> None:
    """Return when the request has left `state`, or the time is over."""
    if not _PLACES.acquire(blocking=False):
        return
    try:
        end = time.monotonic() + min(seconds, LONGEST_WAIT)
        while time.monotonic() < end:
            now = ActionRequest.objects.filter(pk=request_id).values_list("state", flat=True)
            if now.first() != state:
                return
            time.sleep(_PAUSE)
    finally:
        _PLACES.release()
