"""The same races without the lock: what an ordinary `transaction.atomic` service would do.

These show that the rounds of the other files really race: remove a lock there and they fail.
"""

from __future__ import annotations

from functools import partial
from threading import Barrier

import pytest
from django.db import transaction

from approvals.models import ActionRequest, Decision
from approvals.selectors.authority import authorise
from approvals.selectors.case import approved_today
from audit.actors import Actor
from audit.events import AuditCode
from audit.lib import db_clock
from audit.services import ChainMoved, record
from policies.models import User
from tests.approvals.make import (
    Cast,
    approve,
    fresh,
    look_at,
    make_crm,
    make_limit,
    make_request,
    manager_refund,
)
from tests.approvals.story import snapshot
from tests.races.make import at_once, losers

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ROUNDS = 10


@transaction.atomic
def look_then_decide(request: ActionRequest, user: User, meeting: Barrier) -> bool:
    """Check, then act, in one transaction and without a lock: is there room in the day?"""
    mine = fresh(request)
    spent = approved_today(user.person, mine.currency, now=db_clock.now(), excluding=mine)
    _, authority = authorise(user, mine, needs_limit=True, at=db_clock.now())
    meeting.wait(timeout=60)
    return authority.limit_minor is not None and spent == 0


def test_without_the_persons_lock_the_day_is_spent_twice(cast: Cast) -> None:
    make_limit(cast.mona, "1000.00", per_day="1000.00")
    overspent = 0
    for _ in range(ROUNDS):
        requests = [make_request(cast.agent, manager_refund(f"{n}.00")) for n in (600, 601)]
        meeting = Barrier(2)

        results = at_once(
            *(partial(look_then_decide, request, cast.mona, meeting) for request in requests)
        )

        overspent += results == [True, True]
    assert overspent == ROUNDS


@transaction.atomic
def look_then_keep(request: ActionRequest, user: User, nonce: str, meeting: Barrier) -> None:
    """The obvious service: read the state, then write the decision, nothing locked."""
    mine = fresh(request)
    assert mine.state == "pending_approval"
    reviewed = look_at(mine, user)
    meeting.wait(timeout=60)
    template = Decision.objects.filter(request__action_type="crm.update").earliest("pk")
    values = {f.attname: getattr(template, f.attname) for f in Decision._meta.concrete_fields}
    values |= {"request_id": mine.pk, "person": user.person, "nonce": nonce, "id": None}
    Decision.objects.create(**{**values, "opened_at": reviewed.opened_at})


def test_without_the_requests_lock_two_people_decide_what_one_should(cast: Cast) -> None:
    approve(make_crm(cast, stage="lost"), cast.otto)
    both = 0
    for number in range(ROUNDS):
        request = make_request(
            cast.agent,
            {"record": f"acct_{2002 + number}", "fields": {"notes": "x"}},
            action_type="crm.update",
        )
        meeting = Barrier(2)

        at_once(
            partial(look_then_keep, request, cast.otto, f"a{number}", meeting),
            partial(look_then_keep, request, cast.oona, f"b{number}", meeting),
        )

        both += request.decisions.count() == 2
    assert both == ROUNDS


def test_even_then_the_trail_lets_only_one_of_them_write(cast: Cast) -> None:
    for number in range(ROUNDS):
        request = make_request(
            cast.agent,
            {"record": f"acct_{2002 + number}", "fields": {"notes": "x"}},
            action_type="crm.update",
        )
        meeting = Barrier(2)

        @transaction.atomic
        def write(name: str, mine: ActionRequest, meeting: Barrier = meeting) -> None:
            meeting.wait(timeout=60)
            record(AuditCode.REMINDED, actor=Actor.system(name), subject=mine)

        before = snapshot(request)
        results = at_once(
            partial(write, "first", fresh(request)), partial(write, "second", fresh(request))
        )

        (loser,) = losers(results)
        assert isinstance(loser, ChainMoved) or "unique" in str(loser)
        assert snapshot(request) == before
