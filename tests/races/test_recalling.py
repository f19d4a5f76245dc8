"""Recalling an approval and carrying it out in the same moment: one of the two wins."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from approvals.exceptions import WrongState
from approvals.models import ActionRequest, Attempt, Grant
from approvals.services.execute import execute
from approvals.services.recall import recall
from audit.lib import db_clock
from connectors.sandbox.server import Sandbox
from tests.approvals.counting import another_charge
from tests.approvals.make import (
    SHIPPED_POLICY,
    Cast,
    approve,
    fresh,
    make_cast,
    make_request,
    refund,
)
from tests.database import triggers_off
from tests.races.make import at_once, losers
from tests.races.rounds import ROUNDS, a_moment_later, the_trail_is_whole_after_every_race

if TYPE_CHECKING:
    from tests.worlds import Maker

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here


def as_shipped() -> Cast:
    return make_cast(SHIPPED_POLICY)


@pytest.fixture
def begins_with() -> Maker:
    """The people and the agent, under the policy as it is shipped."""
    return as_shipped


def another_customer(sandbox: Sandbox, number: int) -> str:
    """One of each round's own, so that no round counts for the next."""
    name = f"cus_{5001 + number}"
    with sandbox.store.transaction("payments") as store:
        store.put("customer", name, {**(store.get("customer", "cus_1002") or {}), "id": name})
    return name


def just_approved(
    cast: Cast, sandbox: Sandbox, number: int, *, usable_in: timedelta
) -> ActionRequest:
    """A refund whose ten seconds are over so soon."""
    charge = another_charge(sandbox, customer=another_customer(sandbox, number))
    request = make_request(cast.agent, refund(charge, "300.00"))
    approve(request, cast.fred)
    with triggers_off():
        Grant.objects.filter(request=request).update(usable_from=db_clock.now() + usable_in)
    return request


def test_at_the_end_of_the_ten_seconds_it_is_recalled_or_carried_out_and_never_both(
    cast: Cast, sandbox: Sandbox
) -> None:
    for number in ROUNDS:
        request = just_approved(cast, sandbox, number, usable_in=timedelta(milliseconds=40))
        before = len(sandbox.effects("payments"))

        # both try for as long as the end of the time may lie between them
        taking_back = a_moment_later(number, partial(recall, request.pk, person=cast.fred))
        results = at_once(*[partial(keep_trying, request)] * 2, taking_back)
        execute(request.pk)  # the sweeper's next look: both may have tried too early

        ran = sandbox.effects("payments")[before:]
        lost = losers(results)
        assert len(ran) == len(lost), (ran, lost, told(request))
        assert all(isinstance(one, WrongState) for one in lost)
        assert fresh(request).state == ("audited" if ran else "pending_approval")
        assert Attempt.objects.filter(execution__request=request).count() == len(ran)
        assert len(ran) <= 1


def told(request: ActionRequest) -> list[str]:
    """What became of each attempt, in words."""
    attempts = Attempt.objects.filter(execution__request=request)
    return [f"{fresh(request).state}: {one.outcome}: {one.detail}" for one in attempts]


def keep_trying(request: ActionRequest) -> None:
    for _ in range(6):
        execute(request.pk)
