"""Every race of the people's table, as an ordinary service would run it: each trial is lost.

`transaction.atomic` alone, a look without a lock, then the act. What acts here writes a row that
nothing guards, so that only the missing lock is on trial.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Barrier

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from approvals.models import ActionRequest, Agent, ThreadEntry
from approvals.selectors.authority import authorise
from audit.lib import db_clock
from policies.models import ApprovalLimit, User
from tests.approvals.make import Cast, fresh, make_crm, make_request, manager_refund
from tests.database import triggers_off
from tests.races.make import at_once, losers
from tests.races.rounds import ROUNDS

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def write(request: ActionRequest, who: str) -> None:
    """The act: a row for each that believed it was its turn."""
    ThreadEntry.objects.create(
        request=request, actor_kind="system", actor_name=who, body=who, created_at=db_clock.now()
    )


@transaction.atomic
def look_then_act(request: ActionRequest, who: str, meeting: Barrier) -> None:
    """Is it still to be decided? Then it is mine."""
    assert fresh(request).state == "pending_approval"
    meeting.wait(timeout=60)
    write(request, who)


@pytest.mark.parametrize("rival", ["reject", "expiry", "edit", "withdraw", "a second approval"])
def test_without_the_requests_lock_approve_and_its_rival_both_win(cast: Cast, rival: str) -> None:
    request = make_crm(cast)
    for _ in ROUNDS:
        meeting = Barrier(2)

        results = at_once(
            partial(look_then_act, request, "approve", meeting),
            partial(look_then_act, request, rival, meeting),
        )

        assert losers(results) == []
    acted = list(request.thread.values_list("actor_name", flat=True))
    assert (acted.count("approve"), acted.count(rival)) == (len(ROUNDS), len(ROUNDS))


def pause(cast: Cast) -> None:
    with triggers_off():
        Agent.objects.filter(pk=cast.agent.pk).update(paused_at=db_clock.now())


def close_the_account(cast: Cast) -> None:
    User.objects.filter(pk=cast.mona.pk).update(is_active=False)


def take_the_role(cast: Cast) -> None:
    cast.mona.groups.remove(Group.objects.get(name="manager"))


def cut_the_limit(cast: Cast) -> None:
    with triggers_off():
        ApprovalLimit.objects.filter(user=cast.mona).update(each_minor=1)


def put_back(cast: Cast) -> None:
    with triggers_off():
        Agent.objects.filter(pk=cast.agent.pk).update(paused_at=None)
        ApprovalLimit.objects.filter(user=cast.mona).update(each_minor=100_000)
    User.objects.filter(pk=cast.mona.pk).update(is_active=True)
    cast.mona.groups.add(Group.objects.get(name="manager"))


@pytest.mark.parametrize("change", [pause, close_the_account, take_the_role, cut_the_limit])
def test_without_holding_its_grounds_work_begins_after_they_are_gone(
    cast: Cast, change: Callable[[Cast], None]
) -> None:
    request = make_request(cast.agent, manager_refund())
    begun_too_late = 0
    for _ in ROUNDS:
        looked, changed = Barrier(2), Barrier(2)

        @transaction.atomic
        def claim(looked: Barrier = looked, changed: Barrier = changed) -> None:
            assert not fresh(request).agent.is_paused
            authorise(cast.mona, fresh(request), needs_limit=True, at=db_clock.now())
            looked.wait(timeout=60)
            changed.wait(timeout=60)
            write(request, "begin")

        def change_it(looked: Barrier = looked, changed: Barrier = changed) -> int:
            looked.wait(timeout=60)
            change(cast)
            begun = request.thread.count()
            changed.wait(timeout=60)
            return begun

        results = at_once(claim, change_it)

        assert losers(results) == []
        begun_too_late += request.thread.count() > int(str(results[1]))
        put_back(cast)
    assert begun_too_late == len(ROUNDS)
