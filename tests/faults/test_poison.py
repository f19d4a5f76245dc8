"""Requests that cannot be carried on: tried a bounded number of times, and in nobody's way."""

from __future__ import annotations

import pytest

from approvals.models import ActionRequest, Execution, RequestContent
from approvals.services.sweep import sweep
from audit.lib import db_clock
from tests.database import triggers_off
from tests.faults.make import allowed_refund
from tests.faults.processes import until
from tests.faults.world import World, attempts_of, keys_of, lease_runs_out, one_effect, state_of

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]


def poison(request: ActionRequest) -> None:
    """Somebody with the database's own password raises the amount."""
    content = RequestContent.objects.get(request=request, version=request.version)
    with triggers_off():
        RequestContent.objects.filter(pk=content.pk).update(
            action=content.action.replace("20.00", "29.00")
        )


def test_a_tampered_request_is_never_carried_out_and_holds_up_nobody(world: World) -> None:
    worker = world.worker()
    poisoned, neighbour = allowed_refund("ch_1002"), allowed_refund("ch_1003")
    poison(poisoned)

    world.enqueue(poisoned, poisoned, neighbour)
    until("the neighbour is done", lambda: state_of(neighbour) == "audited")
    until("nobody tries any more", lambda: state_of(poisoned) == "denied")

    one_effect(world, neighbour)
    assert attempts_of(poisoned) == []
    assert poisoned.integrity_incidents.count() == 1  # found by two messages, told of once
    assert sweep().failed == 0
    assert worker.is_running


def test_a_request_tampered_with_during_its_call_is_left_to_a_person(world: World) -> None:
    poisoned, neighbour = allowed_refund("ch_1002"), allowed_refund("ch_1003")
    world.fault("apply_then_hang", path="/v1/refunds", seconds=4)
    victim = world.sweeper()
    until("the money moved", world.effects)
    victim.kill()
    poison(poisoned)

    lease_runs_out(poisoned)
    swept = sweep()

    assert swept.counts["leases"] == 1
    assert state_of(poisoned) == "outcome_unknown"
    assert "does not match its digest" in poisoned.executions.get().problem
    assert state_of(neighbour) == "audited"
    assert read_until_given_up(poisoned) == 6
    assert state_of(poisoned) == "verification_failed"
    effects = sorted(effect["idempotency_key"] for effect in world.effects())
    assert effects == sorted([*keys_of(poisoned), *keys_of(neighbour)])


def test_a_receipt_nobody_can_read_is_not_read_for_ever(world: World) -> None:
    request, neighbour = allowed_refund("ch_1002"), allowed_refund("ch_1003")
    world.fault("error_500", path="/v1/refunds", method="GET", times=2)
    sweep()
    with triggers_off():
        Execution.objects.filter(request=request).update(receipt="{", read_back_at=db_clock.now())

    tries = 1 + read_until_given_up(request)

    assert tries == 6
    assert state_of(request) == "verification_failed"
    world.sweep_until("audited", neighbour)
    assert sweep().failed == 0
    assert len(world.effects()) == 2


def read_until_given_up(request: ActionRequest) -> int:
    """Sweep with every pause cut short; how many reads it took until nobody read any more."""
    for reads in range(20):
        due = request.executions.filter(request__state__in=["executed", "outcome_unknown"])
        if not due.update(read_back_at=db_clock.now()):
            return reads
        sweep()
    raise AssertionError("It is read for ever.")
