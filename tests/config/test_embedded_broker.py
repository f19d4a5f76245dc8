"""The embedded broker hands over whole messages, each once, whoever writes and reads meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from django.conf import settings
from kombu import Connection
from kombu.utils.scheduling import cycle_by_name

from config.celery import app
from config.queues import EXECUTIONS, REST, ExecutionsFirst
from tests.trials import trials

pytestmark = pytest.mark.once

EMBEDDED = "config.embedded_broker:Transport"
EACH_SENDS = trials(2_000, least=400)
SENDERS = READERS = 3


def open_queue(folder: Path, transport: str, named: str = "") -> Any:
    options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "processed_folder": str(folder / "processed"),
    }
    for name in options.values():
        Path(name).mkdir(parents=True, exist_ok=True)
    connection = Connection("filesystem://localhost//", transport=transport)
    connection.transport_options = options
    # kombu remembers per process which queues are bound, whatever the folder: a name for each
    return connection.SimpleQueue(named or folder.name, serializer="json")


def hammer(folder: Path, transport: str) -> Counter[str]:
    """What the readers got, after every sender has sent its messages."""
    all_sent = threading.Event()

    def send(sender: int) -> None:
        queue = open_queue(folder, transport)
        for number in range(EACH_SENDS):
            queue.put(f"{sender}-{number}-{'x' * 5_000}")

    def read() -> list[str]:
        queue, got = open_queue(folder, transport), []
        while True:
            at_the_end = all_sent.is_set()
            try:
                message = queue.get(block=False)
            except Empty:
                if at_the_end:
                    return got
                continue
            got.append(message.payload)
            message.ack()

    with ThreadPoolExecutor(SENDERS + READERS) as pool:
        readers = [pool.submit(read) for _ in range(READERS)]
        try:
            list(pool.map(send, range(SENDERS)))
        finally:
            all_sent.set()
        return Counter(name for reader in readers for name in reader.result())


def test_every_message_arrives_whole_and_once(tmp_path: Path) -> None:
    got = hammer(tmp_path, EMBEDDED)

    assert sum(got.values()) == len(got) == SENDERS * EACH_SENDS
    assert {len(text.rpartition("-")[2]) for text in got} == {5_000}


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    queue = open_queue(tmp_path, EMBEDDED)

    queue.put("first")
    queue.put("second")

    assert [queue.get(block=False).payload for _ in range(2)] == ["first", "second"]
    assert not [*tmp_path.glob("messages/*"), *tmp_path.glob("processed/*")]


def test_executions_are_taken_before_whatever_was_sent_earlier(tmp_path: Path) -> None:
    rest, first = (open_queue(tmp_path, EMBEDDED, name) for name in (REST, EXECUTIONS))
    for number in range(3):
        rest.put(f"sweep {number}")
    first.put("execute")
    taken: list[Any] = []
    with app.connection_for_read(transport=EMBEDDED) as connection:
        connection.transport_options = rest.channel.connection.client.transport_options

        with connection.Consumer([rest.queue, first.queue], on_message=taken.append, no_ack=True):
            for _ in range(4):
                connection.drain_events(timeout=5)

    assert [message.payload for message in taken][:2] == ["execute", "sweep 0"]


def test_a_worker_of_both_queues_looks_for_executions_first_on_redis() -> None:
    cycle = ExecutionsFirst([REST, "backup", EXECUTIONS])

    assert cycle.consume(3) == [EXECUTIONS, "backup", REST]
    assert cycle_by_name("config.queues:ExecutionsFirst") is ExecutionsFirst


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("approvals.execute", EXECUTIONS),
        ("approvals.recover", EXECUTIONS),
        ("approvals.sweep", REST),
        ("approvals.send_notices", REST),
        ("approvals.verify", REST),
    ],
)
def test_what_was_approved_waits_behind_nothing_else(task: str, queue: str) -> None:
    assert app.amqp.router.route({}, task)["queue"].name == queue
    assert queue in app.amqp.queues


def test_the_embedded_default_uses_it() -> None:
    if not settings.BROKER_URL.startswith("filesystem"):
        pytest.skip("this run has another broker")

    assert type(app.connection_for_write().transport).__module__ == "config.embedded_broker"


def test_nothing_is_lost_while_the_queue_is_being_bound(tmp_path: Path) -> None:
    """Threads of one process that publish for the first time, all at the same moment."""
    for number in range(trials(400, least=40)):
        folder = tmp_path / f"first-{number}"
        together = threading.Barrier(6)

        def publish(
            name: int, folder: Path = folder, together: threading.Barrier = together
        ) -> None:
            together.wait()
            open_queue(folder, EMBEDDED).put(name)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(publish, range(6)))

        assert len(list(folder.glob("messages/*.msg"))) == 6
