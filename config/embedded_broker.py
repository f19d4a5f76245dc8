"""The embedded broker: kombu's file system transport, whose messages are whole or not there.

kombu writes a message under the name consumers look for, and a queue's table in place: whoever
reads at that moment gets half of it, and a worker that does ends. Here a message is written
under another name and renamed, is taken by a rename inside the same folder tree, and tables are
read and written under one lock.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

from config.queues import in_order

_binding = threading.Lock()


class Channel(filesystem.Channel):
    """What Celery publishes to and consumes from."""

    def _put(  # type: ignore[override]  # kombu names this argument in two ways itself
        self, queue: Any, payload: Any, **kwargs: Any
    ) -> None:
        folder = Path(self.data_folder_out)
        unfinished = folder / f"{uuid4().hex}.unfinished"
        unfinished.write_text(dumps(payload))
        # the oldest is taken first: names begin with the time
        unfinished.rename(folder / f"{time.monotonic_ns():020}_{uuid4().hex}.{queue}.msg")

    def _get(self, queue: Any, timeout: Any = None) -> Any:
        for name in sorted(os.listdir(self.data_folder_in)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = Path(self.processed_folder, name)
            try:
                Path(self.data_folder_in, name).rename(taken)
            except FileNotFoundError:
                continue  # another consumer has it
            payload = taken.read_text()
            taken.unlink()
            return loads(payload)
        raise Empty

    def _reset_cycle(self) -> None:
        self._cycle = _InOrder(self)

    def queue_bind(self, *args: Any, **kwargs: Any) -> None:
        # kombu notes that a queue is bound before its table is written: another thread that
        # believed the note would publish to no queue at all, and lose its message
        with _binding:
            super().queue_bind(*args, **kwargs)

    def get_table(self, exchange: str) -> Any:
        with self._tables_locked():
            return super().get_table(exchange)

    def _queue_bind(self, *args: Any) -> None:
        with self._tables_locked():
            super()._queue_bind(*args)

    def _delete(self, *args: Any, **kwargs: Any) -> None:
        with self._tables_locked():
            super()._delete(*args, **kwargs)

    @contextmanager
    def _tables_locked(self) -> Iterator[None]:
        with Path(self.control_folder, "tables.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # closing the file gives it back
            yield


class _InOrder:
    """Takes a message from the first queue that has one; kombu's own takes turns."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def get(self, callback: Callable[..., object], **kwargs: Any) -> None:
        for queue in in_order(self._channel._active_queues):
            try:
                return self._channel._get_and_deliver(queue, callback)
            except Empty:
                continue
        raise Empty

    def close(self) -> None:
        """Nothing is kept."""


class Transport(filesystem.Transport):
    """What `CELERY_BROKER_TRANSPORT` names."""

    Channel = Channel
