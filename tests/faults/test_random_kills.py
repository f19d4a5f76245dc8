"""Workers killed at random moments, again and again; then everything has happened once."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

import pytest

from approvals.models import Attempt
from tests.faults.make import allowed_refund, charges
from tests.faults.processes import Program, until
from tests.faults.world import (
    World,
    assert_trail_is_whole,
    keys_of,
    state_of,
)

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]

REFUNDS = 20
KILLING_SECONDS = 8.0


def test_twenty_refunds_survive_workers_killed_at_random_and_happen_once_each(
    world: World,
) -> None:
    seed = random.randrange(2**32)  # noqa: S311 - chance, not a secret
    dice = random.Random(seed)  # noqa: S311
    print(f"seed {seed}")  # noqa: T201 - shown only when it fails
    requests = [allowed_refund(charge) for charge in charges(REFUNDS)]
    world.fault("slow", path="/v1/charges", method="GET", seconds=0.2, times=20)
    world.fault("apply_then_hang", path="/v1/refunds", seconds=0.6, times=30)
    workers = [world.worker(processes=2), world.worker(processes=2)]
    world.run("-m", "celery", "-A", "config", "beat", name="beat")
    world.ring(*requests)

    kills = 0
    end = time.monotonic() + KILLING_SECONDS
    while time.monotonic() < end:
        time.sleep(dice.uniform(0.05, 0.4))
        victim = dice.randrange(len(workers))
        if dice.random() < 0.1:
            workers[victim].kill()
            workers[victim] = world.worker(processes=2, wait=False)
        else:
            kill_a_child(workers[victim], dice)
        kills += 1

    world.no_more_faults()
    until(
        "all settled",
        lambda: {state_of(request) for request in requests} == {"audited"},
        seconds=60,
    )
    found = sorted(effect["idempotency_key"] for effect in world.effects())
    assert found == sorted(key for request in requests for key in keys_of(request))
    assert len(found) == REFUNDS
    assert kills >= 10
    hit = Attempt.objects.filter(outcome="lease_expired").count()
    assert hit >= 1, "no kill hit a call: this run has shown nothing"
    assert_trail_is_whole()


def kill_a_child(worker: Program, dice: random.Random) -> None:
    if children := worker.children:
        with suppress(ProcessLookupError):  # it died of an earlier blow
            os.kill(dice.choice(children), signal.SIGKILL)
