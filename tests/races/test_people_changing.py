"""Somebody's authority ends in the moment a worker claims what rests on it: one order, no third.

Either the claim came first, and what begins was covered; or the change did, and the request goes
back to people. Never does something begin after the change has returned.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from approvals.models import ActionRequest
from approvals.services.execute import execute
from audit.lib.canonical import JsonObject
from connectors.sandbox.server import Sandbox
from policies.services import accounts, limits, people
from tests.approvals.make import INSTALLER, Cast, approve, fresh, make_limit, make_request, refund
from tests.races.make import at_once, losers
from tests.races.rounds import ROUNDS, a_moment_later, crm_for, the_trail_is_whole_after_every_race

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

__all__ = ["the_trail_is_whole_after_every_race"]  # runs around every test here


def race(number: int, request: ActionRequest, change: Callable[[], object]) -> str:
    """Claim and change at once; says what the request became, checked against what was seen."""

    def change_and_look() -> str:
        change()
        return fresh(request).state

    results = at_once(partial(execute, request.pk), a_moment_later(number, change_and_look))

    assert losers(results) == []
    ended = fresh(request).state
    if ended == "audited":
        assert results[1] != "approved", "it began after the change had returned"
    else:
        assert ended == "pending_approval"
        assert not request.executions.exists()
    return ended


def small_refund(number: int) -> JsonObject:
    """One of many of one charge, so that people decide: each another amount, none a duplicate."""
    return refund("ch_1001", f"{2 + number // 100}.{number % 100:02}")


def test_a_claim_and_a_deactivation_have_one_order(cast: Cast, sandbox: Sandbox) -> None:
    ended = []
    for number in ROUNDS:
        request = crm_for(cast, number)
        approve(request, cast.otto)

        ended.append(
            race(
                number,
                request,
                partial(people.deactivate, cast.otto.pk, actor=INSTALLER, reason="left"),
            )
        )

        accounts.reactivate(cast.otto.pk, actor=INSTALLER, reason="back")
    assert len(sandbox.effects("records")) == ended.count("audited")


def test_a_claim_and_a_lost_role_have_one_order(cast: Cast, sandbox: Sandbox) -> None:
    ended = []
    for number in ROUNDS:
        request = crm_for(cast, number)
        approve(request, cast.otto)
        take = partial(people.change_roles, cast.otto.pk, actor=INSTALLER, reason="moved")

        ended.append(race(number, request, partial(take, roles=["support"])))

        take(roles=["operations"])
    assert len(sandbox.effects("records")) == ended.count("audited")


def test_a_claim_and_a_cut_limit_have_one_order(cast: Cast, sandbox: Sandbox) -> None:
    make_request(cast.agent, refund("ch_1001", "1.00"))  # the first goes through by itself
    for number in ROUNDS:
        request = make_request(cast.agent, small_refund(number))
        approve(request, cast.fred)

        race(number, request, partial(make_limit, cast.fred, "1.00"))

        make_limit(cast.fred, "1000.00")


def test_a_claim_and_a_removed_limit_have_one_order(cast: Cast, sandbox: Sandbox) -> None:
    make_request(cast.agent, refund("ch_1001", "1.00"))  # the first goes through by itself
    for number in ROUNDS:
        request = make_request(cast.agent, small_refund(number))
        limit = make_limit(cast.fred, "1000.00")
        approve(request, cast.fred)

        race(
            number,
            request,
            partial(limits.remove_limit, limit.pk, actor=INSTALLER, reason="no longer needed"),
        )
