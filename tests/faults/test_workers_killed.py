"""Workers die at every point of the protocol; what was approved happens once all the same."""

from __future__ import annotations

import os
import signal
import time

import pytest

from approvals.models import ActionRequest
from approvals.services.sweep import sweep
from audit.events import AuditCode
from tests.approvals.story import codes
from tests.faults.make import allowed_refund, approved_mail
from tests.faults.processes import Program, until
from tests.faults.world import (
    World,
    assert_trail_is_whole,
    attempts_of,
    last_event,
    lease_runs_out,
    one_effect,
    state_of,
    trail_of,
)

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]

ONE_CALL = ["grant.consumed", "request.execution_begun", "request.executed"]
VERIFIED = ["request.verified", "request.signed_off"]
TAKEN_OVER = ["grant.consumed", "request.execution_begun", "execution.lease_expired"]
"""The trail of an attempt whose worker was never heard of again."""
FOUND = ["execution.retried", "execution.effect_found"]


def begun(request: ActionRequest) -> None:
    until("the attempt began", lambda: state_of(request) == "executing")


def test_the_doorbell_alone_carries_a_refund_out(world: World) -> None:
    world.worker()
    request = allowed_refund()

    world.enqueue(request)

    until("it is done", lambda: state_of(request) == "audited")
    one_effect(world, request)
    assert attempts_of(request) == ["receipt"]
    assert trail_of(request) == [*ONE_CALL, *VERIFIED]
    assert_trail_is_whole()


def test_a_worker_killed_before_its_claim_loses_the_message_and_nothing_else(world: World) -> None:
    worker = world.worker()
    request = allowed_refund()
    world.fault("slow", path="/v1/charges", method="GET", seconds=4)  # the look before the claim

    world.enqueue(request)
    until("the worker took the message", lambda: world.messages == 0)
    time.sleep(0.5)
    worker.kill()
    world.worker()

    assert state_of(request) == "approved"
    assert world.messages == 0  # acknowledged early: nobody brings it back
    world.sweep_until("audited", request)
    one_effect(world, request)
    assert attempts_of(request) == ["receipt"]
    assert trail_of(request) == [*ONE_CALL, *VERIFIED]
    assert_trail_is_whole()


def test_a_worker_killed_between_claim_and_call_is_replaced_after_its_lease(world: World) -> None:
    worker = world.worker()
    request = allowed_refund()
    # The second read of the charge is the call's own, after the claim and before the write.
    world.fault("slow", path="/v1/charges", method="GET", seconds=0.3)
    world.fault("slow", path="/v1/charges", method="GET", seconds=4)

    world.enqueue(request)
    begun(request)
    worker.kill()

    assert world.effects() == []
    lease_runs_out(request)
    world.sweep_until("audited", request)
    one_effect(world, request)
    assert attempts_of(request) == ["lease_expired", "receipt"]
    assert trail_of(request) == [*TAKEN_OVER, "execution.retried", "request.executed", *VERIFIED]
    assert last_event(request, AuditCode.EXECUTION_RETRIED)["way"] == "repeat"
    assert_trail_is_whole()


def test_a_call_still_on_its_way_when_its_worker_dies_has_one_effect(world: World) -> None:
    worker = world.worker()
    request = allowed_refund()
    # The provider thinks for longer than the lease: the first call lands after the second.
    world.fault("slow", path="/v1/refunds", method="POST", seconds=6)

    world.enqueue(request)
    begun(request)
    worker.kill()
    lease_runs_out(request)
    world.sweep_until("audited", request)
    time.sleep(6)  # by now the first call has landed too

    one_effect(world, request)
    first, *repeats, last = attempts_of(request)
    assert (first, last) == ("lease_expired", "receipt")
    # While the provider says that this key is still being worked on, it is asked again later.
    assert set(repeats) <= {"unknown"}
    assert codes(request).count("request.verified") == 1
    assert_trail_is_whole()


@pytest.mark.parametrize("whom", ["the whole worker", "the child that works"])
def test_what_a_worker_killed_before_its_commit_has_done_is_found_by_its_key(
    world: World, whom: str
) -> None:
    worker = world.worker()
    request = allowed_refund()
    world.fault("apply_then_hang", path="/v1/refunds", seconds=4)

    world.enqueue(request)
    until("the money moved", world.effects)
    kill(worker, whom)

    sweep()
    assert state_of(request) == "executing"  # the lease is the dead worker's until it ends
    lease_runs_out(request)
    world.sweep_until("audited", request)
    one_effect(world, request)
    assert attempts_of(request) == ["lease_expired", "receipt"]
    assert trail_of(request) == [*TAKEN_OVER, *FOUND, "request.executed", *VERIFIED]
    assert_trail_is_whole()


def kill(worker: Program, whom: str) -> None:
    if whom == "the whole worker":
        worker.kill()
        return
    for child in worker.children:
        os.kill(child, signal.SIGKILL)


def test_a_message_delivered_five_times_is_carried_out_once(world: World) -> None:
    world.worker(processes=2)
    request = allowed_refund()

    world.enqueue(*[request] * 5)
    until("it is done", lambda: state_of(request) == "audited")
    world.enqueue(*[request] * 5)
    world.rests()

    assert state_of(request) == "audited"
    one_effect(world, request)
    assert attempts_of(request) == ["receipt"]
    assert trail_of(request) == [*ONE_CALL, *VERIFIED]


def test_a_worker_killed_while_reading_back_leaves_the_reading_to_the_next(world: World) -> None:
    worker = world.worker()
    request = allowed_refund()
    world.fault("slow", path="/v1/refunds", method="GET", seconds=4)

    world.enqueue(request)
    until("the receipt is kept", lambda: state_of(request) == "executed")
    worker.kill()

    world.sweep_until("audited", request)
    one_effect(world, request)
    assert attempts_of(request) == ["receipt"]
    assert trail_of(request) == [*ONE_CALL, *VERIFIED]
    assert_trail_is_whole()


def test_a_mail_handed_over_before_its_worker_died_is_found_and_not_sent_again(
    world: World,
) -> None:
    worker = world.worker()
    request = approved_mail()
    world.fault("apply_then_hang", system="email", path="/smtp", seconds=4)

    world.enqueue(request)
    until("the mail is out", lambda: world.effects("email"))
    worker.kill()

    lease_runs_out(request)
    world.sweep_until("audited", request)
    assert len(world.effects("email")) == 1
    assert attempts_of(request) == ["lease_expired", "receipt"]
    assert last_event(request, AuditCode.EXECUTION_RETRIED)["way"] == "read"
    assert_trail_is_whole()


def test_a_mail_nobody_can_find_after_its_worker_died_is_left_to_a_person(world: World) -> None:
    worker = world.worker()
    request = approved_mail()
    world.fault("slow", system="email", path="/smtp", seconds=4)  # cut off before it is kept

    world.enqueue(request)
    begun(request)
    worker.kill()

    lease_runs_out(request)
    world.sweep_until("outcome_unknown", request)
    world.sweep_until("outcome_unknown", request)
    assert len(world.effects("email")) <= 1
    assert attempts_of(request) == ["lease_expired", "unknown"]
    assert trail_of(request) == [*TAKEN_OVER, "execution.retried", "request.outcome_unknown"]
    assert_trail_is_whole()


def test_a_process_that_slept_past_its_lease_overwrites_nothing(world: World) -> None:
    request = allowed_refund()
    world.fault("apply_then_hang", path="/v1/refunds", seconds=4)

    sleeper = world.sweeper()
    until("the money moved", world.effects)
    sleeper.pause()
    world.sweep_until("audited", request)  # really waits for the lease: nobody touches the clock
    before = trail_of(request)
    sleeper.resume()
    sleeper.ends()

    one_effect(world, request)
    assert state_of(request) == "audited"
    assert attempts_of(request) == ["lease_expired", "receipt"]
    assert trail_of(request) == [*before, "execution.late_result"]
    late = request.executions.get().attempts.get(fence=1)
    assert late.late_result
    assert_trail_is_whole()


def test_a_worker_that_slept_wakes_to_its_own_time_limit_and_changes_nothing(world: World) -> None:
    worker = world.worker()
    request = allowed_refund()
    world.fault("apply_then_hang", path="/v1/refunds", seconds=4)

    world.enqueue(request)
    until("the money moved", world.effects)
    worker.pause()
    world.sweep_until("audited", request)
    worker.resume()
    world.enqueue(request)
    world.rests()

    one_effect(world, request)
    assert state_of(request) == "audited"
    assert attempts_of(request) == ["lease_expired", "receipt"]
    assert_trail_is_whole()
