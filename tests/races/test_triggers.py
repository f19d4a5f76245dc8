"""Triggers in races: several workers measure at once, and somebody ends one meanwhile."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import transaction

from approvals.models import FiredTrigger
from approvals.selectors.triggers import Reached, Subject, reached
from approvals.services.complaints import report_complaint
from approvals.services.execute import execute
from approvals.services.triggers import TRIGGERS, end_trigger, fire
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import record
from connectors.circuit import keep_unexpected
from connectors.sandbox.server import Sandbox
from tests.approvals.make import Cast, fresh, make_request, publish, refund
from tests.races.make import at_once, losers
from tests.races.rounds import ROUNDS, the_trail_is_whole_after_every_race

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here

MANUAL = (
    "at_least: 10\n    within: 1h\n    then: pause",
    "at_least: 2\n    within: 1h\n    then: manual",
)
DUE = Subject("answers-of-another-form", "connection", "payments")


def two_causes() -> None:
    keep_unexpected("payments", "refund.issue", "verify")
    keep_unexpected("payments", "refund.issue", "preview")


def test_of_many_workers_one_fires(cast: Cast) -> None:
    publish(cast, MANUAL)
    for _ in ROUNDS:
        two_causes()

        results = at_once(*[partial(fire, DUE)] * 4)

        assert losers(results) == []
        assert sum(one is not None for one in results) == 1
        only = FiredTrigger.objects.get(ended_at=None)
        end_trigger(only.pk, actor=Actor.human(cast.ada), reason="seen")


def test_ended_in_the_moment_workers_look_it_does_not_fire_again_for_the_same(cast: Cast) -> None:
    publish(cast, MANUAL)
    for _ in ROUNDS:
        two_causes()
        found = fire(DUE)
        assert found is not None
        end = partial(end_trigger, found.pk, actor=Actor.human(cast.ada), reason="seen")

        results = at_once(end, partial(fire, DUE), partial(fire, DUE))

        assert losers(results) == []
        assert results[1:] == [None, None]
        assert not FiredTrigger.objects.filter(ended_at=None).exists()


def test_who_measures_before_the_lock_would_fire_a_second_time(cast: Cast) -> None:
    """The naive way stores what it measured; by then somebody fired it, and somebody ended it."""
    publish(cast, MANUAL)
    two_causes()
    (measured,) = reached(db_clock.now())
    found = fire(DUE)
    assert found is not None
    end_trigger(found.pk, actor=Actor.human(cast.ada), reason="seen")

    assert fire(DUE) is None
    naive_fire(measured)

    assert FiredTrigger.objects.count() == 2


@transaction.atomic
def naive_fire(measured: Reached) -> None:
    at = db_clock.now()
    row = FiredTrigger(
        trigger=measured.trigger.id, policy=measured.rule.version, rule_owner="x", reason="x",
        watch=measured.trigger.watch.value, per=measured.trigger.per.value, key=measured.key,
        then=measured.trigger.then.value, at_least=2, measured=2, within_seconds=3600,
        counted_since=measured.since, fired_at=at,
    )  # fmt: skip
    row.save()
    record(AuditCode.TRIGGER_FIRED, actor=TRIGGERS, subject=row, data={}, at=at)


def test_a_complaint_sent_twice_at_once_counts_once(cast: Cast, sandbox: Sandbox) -> None:
    request = make_request(cast.agent, refund("ch_1003", "20.00"))
    execute(request.pk)
    assert fresh(request).state == "audited"
    for number in ROUNDS:
        send = partial(
            report_complaint, request.pk, agent=cast.agent, reference=f"T-{number}", text=""
        )

        results = at_once(send, send, send)

        assert losers(results) == []
        assert sorted(one.replayed for one in results) == [False, True, True]  # type: ignore[attr-defined]
