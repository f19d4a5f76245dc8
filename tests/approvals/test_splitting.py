"""Seven ways to split a refund below the threshold, and one to grow it: people see the rest.

Whatever an agent does, policy lets at most 250.00 EUR through to one customer in 24 hours. Each
story says by which counter it is caught; without that counter it goes through.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from decimal import Decimal
from functools import partial

import pytest

from approvals.models import ActionRequest
from approvals.services import agent_replies
from audit.lib import db_clock
from connectors.sandbox.server import Sandbox
from policies.services.rates import set_rate
from tests.approvals.counting import (
    UNSEEN_IN_A_DAY,
    another_charge,
    asked,
    enlarge,
    let_pass,
    reasons,
    unseen,
)
from tests.approvals.make import (
    INSTALLER,
    Cast,
    approve_with_edits,
    fresh,
    look_at,
    make_agent,
    make_request,
    refund,
)
from tests.races.make import at_once, losers


def assert_the_rest_is_asked(requests: list[ActionRequest], *facts: str) -> None:
    """At most the day's share went through unseen; a person is asked about all others, and why."""
    assert unseen(requests) <= UNSEEN_IN_A_DAY
    waiting = asked(requests)
    assert waiting, "nobody was asked"
    let_through = [one for one in map(fresh, requests) if one.verdict == "allow"]
    assert len(waiting) + len(let_through) == len(requests)
    for request in waiting:
        assert reasons(request) & set(facts), (request, reasons(request))


def test_1_other_keys_for_the_same_thing(cast: Cast, sandbox: Sandbox) -> None:
    charge = enlarge(sandbox)

    split = [make_request(cast.agent, refund(charge, "240.00")) for _ in range(5)]

    assert unseen(split) == 24_000
    assert_the_rest_is_asked(split, "duplicates")


def test_2_smaller_pieces_of_the_same_charge(cast: Cast, sandbox: Sandbox) -> None:
    charge = enlarge(sandbox)

    split = [make_request(cast.agent, refund(charge, f"1{n}0.00")) for n in range(5)]

    assert_the_rest_is_asked(split, "target_count_24h", "target_sum_24h")


def test_3_several_charges_of_the_same_customer(cast: Cast, sandbox: Sandbox) -> None:
    charges = [another_charge(sandbox) for _ in range(5)]

    split = [make_request(cast.agent, refund(charge, "100.00")) for charge in charges]

    assert_the_rest_is_asked(split, "customer_sum_24h", "customer_count_24h")


def test_4_two_agents_of_one_owner(cast: Cast, sandbox: Sandbox) -> None:
    second = make_agent(cast.owner, "second-bot")
    charges = [another_charge(sandbox) for _ in range(6)]

    split = [
        make_request(agent, refund(charge, "100.00"))
        for agent, charge in zip([cast.agent, second] * 3, charges, strict=True)
    ]

    assert_the_rest_is_asked(split, "customer_sum_24h", "customer_count_24h")


@pytest.mark.parametrize("currencies", [("EUR", "USD"), ("USD", "EUR")])
def test_5_another_currency(cast: Cast, sandbox: Sandbox, currencies: tuple[str, str]) -> None:
    set_rate_of_the_day("USD", "0.9215")
    split = [
        make_request(
            cast.agent,
            refund(another_charge(sandbox, currency=currency.lower()), "200.00", currency=currency),
        )
        for currency in currencies
    ]

    assert sorted(one.amount_base or 0 for one in split) == [18_430, 20_000]
    assert_the_rest_is_asked(split[1:], "customer_sum_24h", "customer_count_24h")
    assert unseen(split) <= UNSEEN_IN_A_DAY


def test_5_a_currency_without_a_rate_of_today_asks_a_person(cast: Cast, sandbox: Sandbox) -> None:
    charge = another_charge(sandbox, currency="usd")

    request = make_request(cast.agent, refund(charge, "1.00", currency="USD"))

    assert fresh(request).state == "pending_approval"
    assert fresh(request).amount_base is None


@pytest.mark.parametrize("hours", [1, 13, 23])
def test_6_before_and_after_midnight(cast: Cast, sandbox: Sandbox, hours: int) -> None:
    first = make_request(cast.agent, refund(another_charge(sandbox), "200.00"))
    let_pass(timedelta(hours=hours))

    second = make_request(cast.agent, refund(another_charge(sandbox), "60.00"))

    assert_the_rest_is_asked([first, second], "customer_sum_24h", "customer_count_24h")


def test_6_a_piece_every_other_day(cast: Cast, sandbox: Sandbox) -> None:
    split = []
    for _ in range(14):
        split.append(make_request(cast.agent, refund(another_charge(sandbox), "240.00")))
        let_pass(timedelta(hours=49))

    waiting = asked(split)

    assert waiting, "thirty days of pieces went through unseen"
    assert all(reasons(one) & {"customer_sum_30d", "customer_count_30d"} for one in waiting), [
        reasons(one) for one in waiting
    ]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_7_twenty_at_the_same_moment(cast: Cast, sandbox: Sandbox) -> None:
    charges = [another_charge(sandbox) for _ in range(20)]

    split = at_once(
        *(partial(make_request, cast.agent, refund(charge, "100.00")) for charge in charges)
    )

    assert losers(split) == []
    found = list(ActionRequest.objects.all())
    assert unseen(found) == 20_000  # two of twenty
    assert_the_rest_is_asked(found, "customer_sum_24h", "customer_count_24h")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_7_the_very_same_thing_at_the_same_moment(cast: Cast, sandbox: Sandbox) -> None:
    charge = enlarge(sandbox)
    earlier = make_request(cast.agent, refund(charge, "900.00"))
    # its counters exist: only locks are in the way
    agent_replies.withdraw(earlier.pk, agent=cast.agent)

    split = at_once(
        *(partial(make_request, cast.agent, refund(charge, "100.00")) for _ in range(20))
    )

    assert losers(split) == []
    found = list(ActionRequest.objects.exclude(pk=earlier.pk))
    assert unseen(found) == 10_000
    assert_the_rest_is_asked(found, "duplicates")


def test_8_small_first_and_raised_by_an_edit(cast: Cast, sandbox: Sandbox) -> None:
    charges = [another_charge(sandbox) for _ in range(3)]
    small = make_request(cast.agent, refund(charges[0], "10.00"), said={"confidence": 0.5})

    approve_with_edits(
        small.pk,
        decider=cast.fred,
        reviewed=look_at(small, cast.fred),
        params=refund(charges[0], "240.00"),
        reason_code="corrected",
    )
    after = [make_request(cast.agent, refund(charge, "100.00")) for charge in charges[1:]]

    assert fresh(small).amount_base == 24_000
    assert_the_rest_is_asked(after, "customer_sum_24h", "customer_count_24h")
    assert unseen(after) == 0  # 240.00 were promised already, by a person


def set_rate_of_the_day(currency: str, rate: str) -> None:
    set_rate(currency, db_clock.now().astimezone(UTC).date(), Decimal(rate), actor=INSTALLER)
