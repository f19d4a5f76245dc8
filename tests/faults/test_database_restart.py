"""PostgreSQL goes down in the middle: no half decision, no lost effect, no second one."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection

from approvals.models import ActionRequest, Decision
from approvals.services.decide import approve
from policies.models import User
from tests.approvals.make import look_at
from tests.faults.cluster import Cluster
from tests.faults.make import allowed_refund, decided, large_refund
from tests.faults.processes import until
from tests.faults.world import (
    World,
    assert_trail_is_whole,
    attempts_of,
    keys_of,
    lease_runs_out,
    one_effect,
    state_of,
)

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.slow]


def test_a_database_that_crashes_during_the_call_loses_no_effect_and_repeats_none(
    fragile: World, cluster: Cluster
) -> None:
    worker = fragile.worker()
    flying, waiting = allowed_refund(), large_refund()
    mona = User.objects.get(username="mona")
    reviewed = look_at(waiting, mona)
    fragile.fault("apply_then_hang", path="/v1/refunds", seconds=4)
    fragile.enqueue(flying)
    until("the money moved", fragile.effects)

    cluster.crash()
    with pytest.raises(OperationalError):
        approve(
            waiting.pk, decider=mona, reviewed=reviewed, reason_code="as_proposed", comment="Fine."
        )
    connection.close()
    until("the worker noticed", lambda: "OperationalError" in worker.log)
    cluster.start()

    assert state_of(flying) == "executing"
    assert Decision.objects.count() == 0
    lease_runs_out(flying)
    fragile.sweep_until("audited", flying)
    one_effect(fragile, flying)
    assert attempts_of(flying) == ["lease_expired", "receipt"]

    decided(waiting, "mona")
    fragile.enqueue(waiting)
    until("the same worker goes on", lambda: state_of(waiting) == "audited")
    assert worker.is_running
    keys = {effect["idempotency_key"] for effect in fragile.effects()}
    assert keys == {*keys_of(flying), *keys_of(waiting)}
    assert ActionRequest.objects.count() == 2
    assert_trail_is_whole()
