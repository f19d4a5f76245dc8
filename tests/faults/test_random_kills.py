"""Workers killed at random moments, again and again; then everything has happened once.

The order of the blows follows from a seed, which a failure prints: FAULTS_SEED=... repeats it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

import pytest

from approvals.models import ActionRequest, Attempt
from tests.faults.make import allowed_refund, charges
from tests.faults.processes import Program, until
from tests.faults.world import World, assert_trail_is_whole, attempts_of, keys_of, state_of
from tests.trials import trials

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]

REFUNDS = trials(20, least=6)
BLOWS = trials(25, least=4)
"""How many of the blows have to have killed somebody."""

SETTLES = 240.0
"""Seconds: an errand whose message died with its worker is sent again after thirty, several times
over if need be. A stall lasts for ever; a loaded machine does not."""


def test_twenty_refunds_survive_workers_killed_at_random_and_happen_once_each(
    world: World,
) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.randrange(2**32))  # noqa: S311 - no secret
    print(f"FAULTS_SEED={seed} repeats this order of blows")  # noqa: T201 - shown when it fails
    dice = random.Random(seed)  # noqa: S311
    requests = [allowed_refund(charge) for charge in charges(REFUNDS)]
    world.fault("slow", path="/v1/charges", method="GET", seconds=0.2, times=20)
    world.fault("apply_then_hang", path="/v1/refunds", seconds=0.6, times=30)
    workers = [world.worker(processes=2), world.worker(processes=2)]
    world.run("-m", "celery", "-A", "config", "beat", name="beat")
    world.enqueue(*requests)

    kill_one_inside_its_call(world, workers)
    kills = 0
    while kills < BLOWS:
        time.sleep(dice.uniform(0.05, 0.4))  # no wait for anything: when the blow falls is chance
        victim, whole = dice.randrange(len(workers)), dice.random() < 0.1
        if whole:
            kills += replace(world, workers, victim)
        else:
            kills += killed_a_child(workers[victim], dice)

    world.no_more_faults()
    try:
        until("all settled", lambda: is_settled(world, workers, requests), seconds=SETTLES)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{report(world, requests)}") from None
    found = sorted(effect["idempotency_key"] for effect in world.effects())
    assert found == sorted(key for request in requests for key in keys_of(request))
    assert len(found) == REFUNDS
    assert Attempt.objects.filter(outcome="lease_expired").exists(), report(world, requests)
    assert_trail_is_whole()


def kill_one_inside_its_call(world: World, workers: list[Program]) -> None:
    """The first blow is no matter of luck: it falls between an effect and its record.

    The workers are stopped before anybody looks, so that what is seen stays as it is.
    """

    def hit() -> bool:
        for worker in workers:
            worker.pause()
        inside = calls_with_effect(world)
        if not inside:
            for worker in workers:
                worker.resume()
            return False
        for number in range(len(workers)):
            replace(world, workers, number)
        # a commit on its way when they were stopped may have arrived since
        return bool(inside & calls_with_effect(world))

    until("a worker was inside its call", hit, seconds=60)


def calls_with_effect(world: World) -> set[str]:
    """The keys of calls that have had their effect while nobody has recorded the end of them."""
    running = Attempt.objects.filter(execution__state="running", outcome="running")
    began = set(running.values_list("execution__provider_key", flat=True))
    return began & {effect["idempotency_key"] for effect in world.effects()}


def replace(world: World, workers: list[Program], number: int) -> bool:
    """Kill a worker with its children and start another, as a supervisor would."""
    workers[number].kill()
    workers[number] = world.worker(processes=2, wait=False)
    return True


def killed_a_child(worker: Program, dice: random.Random) -> bool:
    """Whether there was a child to kill."""
    if children := worker.children:
        with suppress(ProcessLookupError):  # it died of an earlier blow
            os.kill(dice.choice(children), signal.SIGKILL)
            return True
    return False


def is_settled(world: World, workers: list[Program], requests: Sequence[ActionRequest]) -> bool:
    """Whether everything is done, with workers that gave up started anew as a supervisor would.

    A child killed before it was up takes its worker along: Celery's pool counts that as its own
    failure to start.
    """
    for number, worker in enumerate(workers):
        if not worker.is_running:
            workers[number] = world.worker(processes=2, wait=False)
    return unsettled(requests) == []


def unsettled(requests: Sequence[ActionRequest]) -> list[ActionRequest]:
    return [request for request in requests if state_of(request) != "audited"]


def report(world: World, requests: Sequence[ActionRequest]) -> str:
    """Where everything stands, and what the workers said last."""
    lines = [f"{state_of(each):16} {attempts_of(each)} {each.pk}" for each in requests]
    lines.append(f"{world.messages} messages wait in the broker")
    for program in world.programs:
        lines += [f"--- {program.name}, running: {program.is_running}", program.log[-1500:]]
    return "\n".join(lines)
