"""The broker dies, forgets or repeats itself: rows are the truth, messages only a hint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from approvals.models import ActionRequest
from audit.lib.outbox import QUIET_SECONDS
from tests.faults.make import allowed_refund, charges, large_refund
from tests.faults.processes import until
from tests.faults.world import World, assert_trail_is_whole, attempts_of, keys_of, state_of

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]


def each_once(world: World, requests: list[ActionRequest]) -> None:
    """Every request has exactly one effect, one attempt and one key; nothing else happened."""
    found = sorted(effect["idempotency_key"] for effect in world.effects())
    assert found == sorted(key for request in requests for key in keys_of(request))
    assert len(found) == len(requests)
    for request in requests:
        assert attempts_of(request) == ["receipt"]


def test_approving_rings_the_workers_without_any_sweep(world: World) -> None:
    world.worker()
    request = large_refund()

    took = desk(world, request)

    both = [request, ActionRequest.objects.get(pk=took["proposed"])]
    until("both are done", lambda: {state_of(r) for r in both} == {"audited"})
    each_once(world, both)


@pytest.mark.parametrize("how", ["killed", "hanging"])
def test_people_decide_and_agents_propose_while_redis_is_gone(world: World, how: str) -> None:
    request = large_refund()
    if how == "killed":
        world.broker.kill()
    else:
        world.broker.pause()

    took = desk(world, request)

    world.broker.resume()
    assert took["proposed_status"] == 201
    assert state_of(request) == "approved"
    # a broker that does not answer is waited for once in a while, not for every message
    assert 1 <= took["waits"] <= 1 + took["seconds"] // QUIET_SECONDS
    proposed = ActionRequest.objects.get(pk=took["proposed"])
    world.sweep_until("audited", request, proposed)
    each_once(world, [request, proposed])
    assert_trail_is_whole()


def desk(world: World, request: ActionRequest) -> dict[str, Any]:
    """A web process: it approves the request and takes a proposal; what it saw."""
    program = world.run("-m", "tests.faults.desk", str(request.pk), name="desk")
    assert program.ends(seconds=60) == 0, program.log
    report: dict[str, Any] = json.loads(program.log.strip().splitlines()[-1])
    return report | {"waits": program.log.count("broker unreachable")}


def test_a_flushed_redis_loses_messages_and_nothing_else(world: World) -> None:
    requests = [allowed_refund(charge) for charge in charges(5)]
    world.enqueue(*requests)
    assert world.messages == 5

    world.broker.client.flushall()
    world.worker()

    assert world.messages == 0
    assert {state_of(request) for request in requests} == {"approved"}
    world.enqueue_task("approvals.sweep")
    until("all done", lambda: {state_of(r) for r in requests} == {"audited"})
    each_once(world, requests)


def test_workers_take_up_work_again_after_redis_was_restarted(world: World) -> None:
    worker = world.worker()
    requests = [allowed_refund(charge) for charge in charges(3)]

    world.broker.kill()
    world.sweep_until("audited", requests[0])  # by hand; nobody needs the broker for that
    world.broker.start()
    late = allowed_refund("ch_1010")
    world.enqueue(late)

    until("the worker is back", lambda: state_of(late) == "audited")
    assert worker.is_running
    world.sweep_until("audited", *requests)
    each_once(world, [*requests, late])


def test_three_sweeps_at_once_carry_each_out_once(world: World) -> None:
    requests = [allowed_refund(charge) for charge in charges(6)]
    world.fault("slow", path="/v1/refunds", method="POST", seconds=0.2, times=99)

    sweeps = [world.sweeper() for _ in range(3)]

    assert [program.ends() for program in sweeps] == [0, 0, 0]
    assert {state_of(request) for request in requests} == {"audited"}
    each_once(world, requests)
    assert_trail_is_whole()


def test_two_beats_carry_each_out_once(world: World) -> None:
    requests = [allowed_refund(charge) for charge in charges(4)]
    world.worker(processes=2)

    for number in range(2):
        schedule = str(world.folder / f"beat-{number}")
        world.run(*("-m", "celery", "-A", "config", "beat", "--schedule", schedule), name="beat")

    until("all done", lambda: {state_of(r) for r in requests} == {"audited"})
    each_once(world, requests)


def test_a_message_of_nonsense_kills_no_worker(world: World) -> None:
    worker = world.worker()
    request = allowed_refund()

    world.enqueue_task("approvals.execute", "not an id")
    world.enqueue_task("approvals.execute", "00000000-0000-4000-8000-000000000000")
    world.enqueue_task("no.such.task")
    world.enqueue(request)

    until("the neighbour is done", lambda: state_of(request) == "audited")
    assert worker.is_running
