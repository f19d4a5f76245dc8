"""Stopped from the command line with no broker, no web and no worker: nothing calls out."""

from __future__ import annotations

import pytest

from approvals.services.sweep import sweep
from tests.faults.make import allowed_refund, large_refund
from tests.faults.make import decided as approved_by
from tests.faults.processes import until
from tests.faults.world import (
    World,
    assert_trail_is_whole,
    attempts_of,
    lease_runs_out,
    one_effect,
    state_of,
)

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]


def manage(world: World, *command: str) -> str:
    """One of our commands as a process of its own; what it said."""
    program = world.run("manage.py", *command, name=command[0])
    assert program.ends() == 0, program.log
    return program.log


def test_a_worker_killed_after_its_claim_is_not_repeated_after_a_pause(world: World) -> None:
    worker = world.worker()
    request = allowed_refund()
    # The second read of the charge is the call's own, after the claim and before the write.
    world.fault("slow", path="/v1/charges", method="GET", seconds=0.3)
    world.fault("slow", path="/v1/charges", method="GET", seconds=4)
    world.enqueue(request)
    until("the attempt began", lambda: state_of(request) == "executing")
    worker.kill()
    world.broker.kill()

    assert "everything: since" in manage(world, "pause", "--all", "--reason", "odd numbers")
    lease_runs_out(request)
    sweep()
    paused = state_of(request)
    assert "Nothing is paused." in manage(world, "resume", "--all")
    sweep()

    assert paused == "outcome_unknown"  # nobody knows what the dead worker did; it is read
    assert state_of(request) == "outcome_unknown"
    assert attempts_of(request) == ["lease_expired", "unknown"]
    assert world.effects() == []
    assert_trail_is_whole()


def test_approved_work_waiting_for_a_worker_is_decided_anew_after_a_pause(world: World) -> None:
    world.broker.kill()
    request = approved_by(large_refund(), "mona")
    manage(world, "pause", "--connector", "payments", "--reason", "odd numbers")
    manage(world, "resume", "--connector", "payments")

    sweep()

    assert state_of(request) == "pending_approval"
    assert world.effects() == []
    approved_by(request, "mona")
    world.sweep_until("audited", request)
    one_effect(world, request)
    assert_trail_is_whole()
