"""Deadlines in statements for many write exactly the rows that they write one by one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connection, models, transaction
from django.db.models import F

from approvals import tasks
from approvals.choices import EscalationStep
from approvals.models import ActionRequest, Heartbeat
from approvals.selectors import due
from approvals.services import deadlines, sweep
from approvals.services.deadlines_together import expire_all, step_on_all
from approvals.services.execute import execute
from approvals.services.undo import propose_undo
from audit.lib import db_clock
from audit.models import RequiredEvent
from audit.reading import one_snapshot
from audit.verify import verify
from policies.models import User
from tests.approvals.make import (
    Cast,
    approve,
    ask,
    crm,
    fresh,
    make_access,
    make_crm,
    make_older,
    make_request,
    manager_refund,
    refund,
)
from tests.approvals.story import DECIDED, ROUTED, assert_story
from tests.trials import trials

Rows = dict[str, Counter[str]]


def make_requests(cast: Cast) -> list[ActionRequest]:
    """One of each kind that time may do something to."""
    done = make_crm(cast)
    approve(done, cast.otto)
    execute(done.pk)
    undone = propose_undo(done.pk).request
    approved, asked, half = make_crm(cast, notes="a"), make_crm(cast, notes="b"), make_access(cast)
    approve(approved, cast.otto)
    ask(asked, cast.otto)
    approve(half, cast.otto)
    behalf = make_request(
        cast.agent, crm(notes="c"), action_type="crm.update", on_behalf_of=cast.oona.username
    )
    unannounced = make_crm(cast, notes="d")
    waiting = ActionRequest.objects.filter(pk=unannounced.pk)
    waiting.update(next_step_at=F("clock_started_at"))  # the message to the workers was lost
    whole = [
        make_access(cast),
        make_request(cast.agent, manager_refund("800.00")),
        make_request(cast.agent, refund("ch_1003", "20.00")),
    ]
    everybody = [undone, approved, asked, half, behalf, *whole]
    for request in everybody:
        deadlines.step_on(request.pk)
    return [*everybody, unannounced]


def rows_after(work: Callable[[], object]) -> Rows:
    """All rows of the product after that work, which is taken back; ids and MACs left out.

    And which event of a transaction was required of it: the last of several, or the first.
    """
    with transaction.atomic():
        begun = db_clock.now()
        work()
        connection.check_constraints()
        with one_snapshot():
            assert verify().problem is None
        ended = db_clock.now()
        found = {
            model._meta.label: Counter(
                repr(sorted((k, _plain(v, begun, ended)) for k, v in row.items()))
                for row in model._base_manager.values(*_telling(model))
            )
            for app in ("approvals", "audit")
            for model in apps.get_app_config(app).get_models()
            if not model._meta.proxy and model is not RequiredEvent
        }
        transaction.set_rollback(True)
    return found


def _telling(model: type[models.Model]) -> list[str]:
    # intake's claim ends half a minute after a request is born: in the middle of one run or another
    left_out = {"mac", "audit_head", "intake_claimed_until"}
    return [
        field.attname
        for field in model._meta.concrete_fields
        if not isinstance(field, models.AutoField) and field.name not in left_out
    ]


def _plain(value: Any, begun: datetime, ended: datetime) -> str:
    return "now" if isinstance(value, datetime) and begun <= value <= ended else repr(value)


def one_by_one(at: datetime) -> None:
    for request_id in due.run_out(at):
        deadlines.expire(request_id)
    for request_id in [*due.unannounced(at), *due.steps_due(at)]:
        deadlines.step_on(request_id)


def together(at: datetime) -> None:
    for request_id in expire_all(due.run_out(at)):
        deadlines.expire(request_id)
    for request_id in [*due.unannounced(at), *step_on_all(due.steps_due(at))]:
        deadlines.step_on(request_id)


def test_many_together_leave_the_rows_that_one_by_one_would(cast: Cast) -> None:
    dice = random.Random(20_261_122)  # noqa: S311 - nothing secret
    requests = make_requests(cast)
    User.objects.filter(pk=cast.sara.pk).update(email="")
    changed = 0

    for _ in range(trials(least=12)):
        with transaction.atomic():
            for request in requests:
                pass_time(request, dice.choice([0, 0.4, 0.55, 0.8, 0.93, 1.1]))
            before, at = rows_after(lambda: None), db_clock.now()
            oracle = rows_after(partial(one_by_one, at))
            found = rows_after(partial(together, at))
            transaction.set_rollback(True)

        assert {k: v - oracle[k] for k, v in found.items() if v != oracle[k]} == {}
        assert {k: oracle[k] - v for k, v in found.items() if v != oracle[k]} == {}
        changed += oracle != before

    assert changed > 5


def pass_time(request: ActionRequest, share: float) -> None:
    """Let that share of the time of whatever clock it is on go by."""
    found = fresh(request)
    end = {
        "pending_approval": found.decide_by,
        "changes_requested": found.answer_by,
        "approved": found.execute_by,
    }[found.state]
    assert end is not None
    begun = found.clock_started_at if found.state == "pending_approval" else db_clock.now()
    assert begun is not None
    make_older(request, (end - begun) * share)


def test_what_concerns_another_request_or_is_answered_is_left_to_the_other_way(cast: Cast) -> None:
    undone, _, _, half, _, access, *_, unannounced = make_requests(cast)
    pressed = [half, access, unannounced]
    for request in pressed:
        pass_time(request, 0.6)
    pass_time(undone, 1.1)

    assert expire_all([undone.pk, access.pk]) == [undone.pk]
    assert step_on_all([one.pk for one in pressed]) == sorted([half.pk, unannounced.pk])
    assert access.escalations.filter(step=EscalationStep.FIRST_REMINDER).count() == 2
    assert not half.escalations.filter(step=EscalationStep.FIRST_REMINDER).exists()


def test_what_is_not_due_is_left_alone(cast: Cast) -> None:
    request = make_crm(cast)
    deadlines.step_on(request.pk)
    before = rows_after(lambda: None)

    assert rows_after(lambda: expire_all([request.pk])) == before
    assert expire_all([]) == step_on_all([]) == []


@pytest.mark.django_db(transaction=True)
def test_one_that_cannot_be_ended_holds_up_no_neighbour(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [make_crm(cast, notes=str(number)) for number in range(25)]
    for request in requests:
        pass_time(request, 1.1)
    poisoned = requests[7]
    as_ever = deadlines.running_clock

    def of(request: ActionRequest) -> Any:
        if request.pk == poisoned.pk:
            raise ValueError("a row nobody can read")
        return as_ever(request)

    monkeypatch.setattr("approvals.services.deadlines.running_clock", of)
    monkeypatch.setattr("approvals.services.deadlines_together.running_clock", of)

    swept = sweep.sweep()

    assert swept.failed == 1
    assert {fresh(one).state for one in requests if one != poisoned} == {"expired"}
    assert fresh(poisoned).state == "pending_approval"


def test_a_workers_pass_is_bounded_and_says_that_more_is_left(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "AT_ONCE", 2)
    monkeypatch.setattr(due, "BATCH", 3)
    requests = [make_crm(cast, notes=str(number)) for number in range(5)]
    for request in requests:
        pass_time(request, 1.1)

    passes = [sweep.sweep(through_broker=True) for _ in range(3)]

    assert [swept.counts.get("expired") for swept in passes] == [3, 2, None]
    assert [swept.more for swept in passes] == [True, False, False]


def test_what_nobody_can_do_anything_about_is_not_swept_again_and_again(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "AT_ONCE", 1)
    ids: Sequence[UUID] = [make_crm(cast, notes=str(number)).pk for number in range(3)]
    stuck = sweep.SweepJob("stuck", lambda at: ids, lambda request_id: None)
    monkeypatch.setattr(sweep, "SWEEP_JOBS", (stuck,))

    assert not sweep.sweep(through_broker=True).more


def test_an_approval_not_used_in_time_ends_with_its_grant(cast: Cast) -> None:
    request = make_crm(cast)
    approve(request, cast.otto)
    make_older(request, timedelta(days=2))

    assert expire_all([request.pk]) == []

    assert_story(request, "expired", [*ROUTED, *DECIDED, "grant.revoked", "request.expired"])
    assert request.grants.get().revoked_at is not None
    assert request.history.latest().history_change_reason == "system clocks: request.expired"


def test_sweeps_that_piled_up_are_one(cast: Cast) -> None:
    late, later = make_crm(cast, notes="late"), make_crm(cast, notes="later")
    pass_time(late, 1.1)

    tasks.sweep()
    pass_time(later, 1.1)
    for _ in range(3):
        tasks.sweep()
    piled_up = fresh(later).state
    tasks.sweep_on()

    assert fresh(late).state == "expired"
    assert piled_up == "pending_approval"
    assert fresh(later).state == "expired"


@pytest.mark.parametrize("away", [timedelta(minutes=-1), timedelta(hours=2)])
def test_a_sweep_runs_when_the_last_is_long_ago_or_the_clock_was_set_back(
    cast: Cast, away: timedelta
) -> None:
    request = make_crm(cast)
    pass_time(request, 1.1)
    Heartbeat.objects.create(name=Heartbeat.SWEEP, at=db_clock.now() + away)

    tasks.sweep()

    assert fresh(request).state == "expired"
