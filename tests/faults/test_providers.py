"""Outside systems misbehave: what is unknown is read, what was refused is said, nothing twice."""

from __future__ import annotations

import pytest

from approvals.services.sweep import sweep
from audit.events import AuditCode
from tests.faults.make import allowed_refund, approved_mail
from tests.faults.processes import until
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

BEGUN = ["grant.consumed", "request.execution_begun"]
UNKNOWN = [*BEGUN, "request.outcome_unknown"]
FOUND = ["execution.retried", "execution.effect_found", "request.executed"]
VERIFIED = ["request.verified", "request.signed_off"]


@pytest.mark.parametrize(
    "mode", ["apply_then_hang", "apply_then_500", "apply_then_reset", "half_body", "trickle"]
)
def test_an_effect_nobody_confirmed_is_found_by_reading(world: World, mode: str) -> None:
    request = allowed_refund()
    world.fault(mode, path="/v1/refunds", seconds=30)

    sweep()

    assert attempts_of(request) == ["unknown"]
    world.fault("refuse", path="/v1/refunds", method="POST")  # who calls again, meets it
    world.sweep_until("audited", request)
    one_effect(world, request)
    assert attempts_of(request) == ["unknown", "receipt"]
    assert trail_of(request) == [*BEGUN, *FOUND, *VERIFIED]
    assert_trail_is_whole()


@pytest.mark.parametrize("mode", ["error_500", "reset"])
def test_an_effect_that_never_happened_is_asked_for_again_under_the_same_key(
    world: World, mode: str
) -> None:
    request = allowed_refund()
    world.fault(mode, path="/v1/refunds", method="POST")

    for _ in range(3):
        sweep()
    waiting = state_of(request), attempts_of(request)

    world.sweep_until("audited", request)
    assert waiting == ("executing", ["unknown"])
    one_effect(world, request)
    assert attempts_of(request) == ["unknown", "receipt"]
    assert trail_of(request) == [*BEGUN, "execution.retried", "request.executed", *VERIFIED]
    assert_trail_is_whole()


def test_a_definite_refusal_ends_it_without_effect(world: World) -> None:
    request = allowed_refund()
    world.fault("refuse", path="/v1/refunds", method="POST")

    sweep()
    sweep()

    assert state_of(request) == "failed"
    assert world.effects() == []
    assert attempts_of(request) == ["refused"]
    assert trail_of(request) == ["grant.consumed", "request.execution_begun", "request.failed"]


def test_a_target_that_is_down_is_called_again_later_and_once(world: World) -> None:
    request = allowed_refund()
    world.fault("busy", path="/v1/refunds", method="POST")
    sweep()
    first = state_of(request), attempts_of(request)

    world.outside.stop()  # now the connection itself is refused
    try:
        lease_runs_out(request)
        sweep()
        second = state_of(request), attempts_of(request)
    finally:
        world.outside.start()
    lease_runs_out(request)
    world.sweep_until("audited", request)

    assert first == ("executing", ["retry"])
    assert second == ("executing", ["retry", "retry"])
    one_effect(world, request)
    assert attempts_of(request) == ["retry", "retry", "receipt"]
    assert_trail_is_whole()


def test_a_target_that_stays_busy_is_given_up_without_effect(world: World) -> None:
    request = allowed_refund()
    world.fault("busy", path="/v1/refunds", method="POST", times=99)

    sweep()
    while state_of(request) == "executing":
        lease_runs_out(request)
        sweep()

    assert state_of(request) == "failed"
    assert world.effects() == []
    assert len(attempts_of(request)) == 5
    assert last_event(request, AuditCode.FAILED)["reason"].startswith("Given up after 5 attempts")


def test_a_mail_whose_acceptance_got_lost_is_found_in_the_archive(world: World) -> None:
    request = approved_mail()
    world.fault("apply_then_reset", system="email", path="/smtp")

    sweep()
    world.sweep_until("audited", request)

    assert len(world.effects("email")) == 1
    assert attempts_of(request) == ["unknown"]
    assert trail_of(request) == [*UNKNOWN, *VERIFIED]


def test_a_read_back_that_gets_no_answer_is_read_again(world: World) -> None:
    request = allowed_refund()
    world.fault("error_500", path="/v1/refunds", method="GET")

    sweep()
    waiting = state_of(request)

    until("it is read again", lambda: sweep() and state_of(request) == "audited")
    assert waiting == "executed"
    one_effect(world, request)
    assert attempts_of(request) == ["receipt"]


def test_a_hanging_target_holds_up_nobody_else(world: World) -> None:
    stuck = [allowed_refund(f"ch_{1002 + n}") for n in range(4)]
    mail = approved_mail()
    world.fault("slow", path="/v1/charges", seconds=60, times=99)
    worker = world.worker()

    for _ in range(3):  # what beat does, sooner
        world.enqueue_task("approvals.sweep")

    until("the mail went out", lambda: state_of(mail) == "audited")
    assert {state_of(request) for request in stuck} == {"approved"}
    assert len(world.effects("all")) == 1
    assert worker.is_running
