"""What idle workers are connected to goes away and comes back: they go on by themselves."""

from __future__ import annotations

import pytest
from django.db import connection

from approvals.models import ActionRequest
from tests.faults.cluster import Cluster
from tests.faults.make import allowed_refund, charges
from tests.faults.processes import until
from tests.faults.world import World, assert_trail_is_whole, attempts_of, keys_of, state_of

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]

SOON = 10.0
"""Seconds within which what is approved is carried out once everything is there again."""


@pytest.mark.parametrize("pool", ["0", "1"], ids=["kept connections", "pooled connections"])
def test_idle_workers_carry_on_after_whatever_they_were_connected_to_came_back(
    fragile: World, cluster: Cluster, pool: str
) -> None:
    fragile.env["DATABASE_POOL"] = pool
    stack = IdleStack(fragile, cluster)

    cluster.restart()
    stack.carries_on("the database was restarted")
    cluster.end_sessions()
    stack.carries_on("every connection was terminated")
    fragile.broker.kill()
    fragile.broker.start()
    stack.carries_on("Redis was killed and started")
    fragile.broker.client.flushall()
    stack.carries_on("Redis was flushed")

    assert_trail_is_whole()


def test_a_message_that_came_while_the_database_was_down_is_made_good_soon(
    fragile: World, cluster: Cluster
) -> None:
    stack = IdleStack(fragile, cluster)
    request = allowed_refund("ch_1020")
    stack.beat.pause()
    fragile.rests()
    assert state_of(request) == "approved"

    cluster.stop()
    fragile.enqueue(request)
    stack.worker.says(str(request.pk))  # on the line that names the error
    cluster.start()
    stack.beat.resume()

    stack.carries_on("the database was started")
    assert attempts_of(request) == ["receipt"]


def test_a_message_of_the_sweep_that_met_a_dead_database_is_sent_again_soon(
    fragile: World, cluster: Cluster
) -> None:
    stack = IdleStack(fragile, cluster)
    fragile.fault("slow", path="/v1/charges", method="GET", seconds=1.5)  # before the claim
    request = allowed_refund("ch_1020")  # nobody rings: the sweep finds it
    until("the sweep has sent a worker", lambda: fragile.was_sent("approvals.execute", request))

    cluster.crash()
    stack.worker.says(str(request.pk))
    cluster.start()

    stack.carries_on("the database was started")
    assert attempts_of(request) == ["receipt"]


class IdleStack:
    """A worker of two and beat, which nobody restarts, with nothing to do."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        self._world = world
        self._cluster = cluster
        self._charges = iter(charges(18))
        self.worker = world.worker(processes=2)
        self.beat = world.run("-m", "celery", "-A", "config", "beat", name="beat")
        self.carries_on("it was started", seconds=60)

    def carries_on(self, after: str, *, seconds: float = SOON) -> None:
        """Everything approved is carried out: by a message at once, by the sweep without one.

        Both children are kept busy at the same time, so that each of them has shown its
        connection to work, and has one to lose next time.
        """
        connection.close()  # this process's may have died as well
        self._world.no_more_faults()
        self._world.fault("slow", path="/v1/charges", method="GET", seconds=0.5, times=2)
        rung = [allowed_refund(next(self._charges)) for _ in range(2)]
        swept = allowed_refund(next(self._charges))
        self._world.enqueue(*rung)

        until(
            f"everything is done after {after}",
            lambda: not ActionRequest.objects.exclude(state="audited").exists(),
            seconds=seconds,
        )
        assert self.worker.is_running
        assert self.beat.is_running
        for request in (*rung, swept):
            assert attempts_of(request) == ["receipt"]
        keys = sorted(effect["idempotency_key"] for effect in self._world.effects())
        assert keys == sorted(
            key for request in ActionRequest.objects.all() for key in keys_of(request)
        )
        self._world.rests()
        connection.close()
        assert len(self._cluster.sessions()) >= 2
