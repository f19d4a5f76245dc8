"""Reading a target while somebody waits: three seconds at most, and a small share per system.

A web thread that waits for an outside system answers nobody else. One dead system may hold
`AT_ONCE_PER_SYSTEM` of a process's threads, all of them together `AT_ONCE`, for `READ_SECONDS`; the
rest go on answering people. What cannot be read within that goes on without, or in a worker.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime

from django.conf import settings

from approvals.domain.evidence import ask_target
from audit.lib import db_clock
from connectors.base import Action, Preview
from connectors.circuit import GaveUpWaiting
from connectors.registry import action_type

READ_SECONDS = 3.0
"""How long a request waits for the target it is about."""

AT_ONCE_PER_SYSTEM = 2
"""So many reads of one system are under way in a process; a read that hangs stays one of them."""

AT_ONCE: int = max(1, settings.WEB_THREADS // 2 - 1)
"""So many threads of a process wait for any systems at all; long polls may take another half."""

HANGS_AFTER = 0.5
"""Seconds after which a read counts as hanging: nobody queues behind one. Where all are under way
for less, a request waits its turn."""

_NO_ANSWER = "The target system did not answer in time."


class _Places:
    """So many reads at once, and since when each is under way."""

    def __init__(self, number: int) -> None:
        self._free = threading.BoundedSemaphore(number)
        self._begun: dict[object, float] = {}

    def take(self) -> object | None:
        """A place, as soon as one is free; None when those who hold them all hang."""
        give_up_at = time.monotonic() + READ_SECONDS
        while not self._free.acquire(timeout=0.05):
            now = time.monotonic()
            if now > give_up_at or self._hanging(now):
                return None
        place = object()
        self._begun[place] = time.monotonic()
        return place

    def free(self, place: object) -> None:
        del self._begun[place]
        self._free.release()

    def _hanging(self, now: float) -> bool:
        begun = list(self._begun.values())
        return bool(begun) and max(begun) < now - HANGS_AFTER


_waiting = _Places(AT_ONCE)
_shares: defaultdict[str, _Places] = defaultdict(lambda: _Places(AT_ONCE_PER_SYSTEM))
_shares_lock = threading.Lock()
_readers = ThreadPoolExecutor(max_workers=64, thread_name_prefix="preview")
"""The shares bound it long before."""


def read_in_time(action: Action, *, at: datetime | None = None) -> Preview | None:
    """The target as `read_target` reads it; None when it does not answer soon enough.

    No transaction may be open. The read itself ends with the connector's own timeout, and keeps
    its place until then. `at` is the time by the database's clock, for a caller who has just read
    it.
    """
    at = at or db_clock.now()
    preview = _within_bounds(action)
    return replace(preview, read_at=at) if preview else None


def read_or_go_without(action: Action) -> Preview:
    """`read_in_time`, and a preview that says so when there was no answer."""
    return read_in_time(action) or Preview(unavailable=_NO_ANSWER)


def _within_bounds(action: Action) -> Preview | None:
    with _shares_lock:
        share = _shares[action_type(action.type).system]
    reading_place = share.take()
    if reading_place is None:
        return None
    waiting_place = _waiting.take()
    if waiting_place is None:
        share.free(reading_place)
        return None
    read = _Read(share, reading_place)
    try:
        preview = ask_target(action, read)
        return None if read.is_too_slow else preview
    finally:
        _waiting.free(waiting_place)
        read.end_unless_begun()


class _Read:
    """The call to the outside, in a thread of its own; whoever made it waits `READ_SECONDS`."""

    def __init__(self, share: _Places, place: object) -> None:
        self._share, self._place = share, place
        self._has_begun = False
        self.is_too_slow = False

    def __call__(self, call: Callable[..., Preview], *args: object) -> Preview:
        reading = _readers.submit(call, *args)
        self._has_begun = True
        reading.add_done_callback(lambda done: self._share.free(self._place))
        done, _ = wait([reading], timeout=READ_SECONDS)
        if not done:
            self.is_too_slow = True
            raise GaveUpWaiting(_NO_ANSWER)
        return reading.result()

    def end_unless_begun(self) -> None:
        """Give the place back, if nothing was sent that will."""
        if not self._has_begun:
            self._share.free(self._place)
