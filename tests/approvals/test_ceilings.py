"""An agent's ceiling counts in every currency, by the rate of the day."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from decimal import Decimal

import pytest

from approvals.models import ActionRequest, Agent
from audit.lib import db_clock
from audit.lib.money import Money
from connectors.sandbox.server import Sandbox
from policies.services.rates import set_rate
from tests.approvals.counting import another_charge
from tests.approvals.make import INSTALLER, Cast, fresh, make_request, refund
from tests.approvals.story import facts_of
from tests.database import triggers_off


def dollars(cast: Cast, sandbox: Sandbox, amount: str) -> ActionRequest:
    charge = another_charge(sandbox, currency="usd")
    return make_request(cast.agent, refund(charge, amount, currency="USD"))


def limit_agent(cast: Cast, amount: str, currency: str = "EUR") -> None:
    ceiling = Money.parse(amount, currency)
    with triggers_off():
        Agent.objects.filter(pk=cast.agent.pk).update(
            ceiling_minor=ceiling.minor, ceiling_currency=ceiling.currency
        )
    cast.agent.refresh_from_db()


def set_rate_of_the_day(currency: str, rate: str) -> None:
    set_rate(currency, db_clock.now().astimezone(UTC).date(), Decimal(rate), actor=INSTALLER)


def sentences(request: ActionRequest) -> list[str]:
    """Why policy says what it says, as people and agents read it."""
    trace = json.loads(request.policy_decisions.latest("id").trace)
    return [rule["reason"] for rule in trace["rules"] if rule.get("matched")]


def test_a_small_amount_in_another_currency_is_below_a_large_ceiling(
    cast: Cast, sandbox: Sandbox
) -> None:
    set_rate_of_the_day("USD", "0.9215")
    limit_agent(cast, "5000.00")

    request = dollars(cast, sandbox, "24.90")

    assert not facts_of(request)["agent.over_ceiling"]
    assert not any("ceiling" in sentence for sentence in sentences(request))


@pytest.mark.parametrize(("amount", "over"), [("200.00", False), ("200.01", True)])
@pytest.mark.parametrize(("rate", "ceiling"), [("0.5", "100.00"), ("0.9215", "184.30")])
def test_a_ceiling_in_another_currency_is_met_to_the_cent(
    cast: Cast, sandbox: Sandbox, amount: str, over: bool, rate: str, ceiling: str
) -> None:
    set_rate_of_the_day("USD", rate)
    limit_agent(cast, ceiling)

    assert facts_of(dollars(cast, sandbox, amount))["agent.over_ceiling"] is over


def test_a_ceiling_in_a_foreign_currency_covers_base_currency_by_its_rate(cast: Cast) -> None:
    set_rate_of_the_day("JPY", "0.006")
    limit_agent(cast, "30000", "JPY")  # 180.00 EUR

    under = make_request(cast.agent, refund("ch_1003", "180.00"))
    over = make_request(cast.agent, refund("ch_1004", "180.01"))

    assert [facts_of(one)["agent.over_ceiling"] for one in (under, over)] == [False, True]
    assert [one.verdict for one in map(fresh, (under, over))] == ["allow", "require_approval"]


def test_without_a_rate_nobody_is_below_a_ceiling_and_the_answer_names_the_rate(
    cast: Cast, sandbox: Sandbox
) -> None:
    limit_agent(cast, "30000", "JPY")

    euros, dollar = (
        make_request(cast.agent, refund("ch_1003", "1.00")),
        dollars(cast, sandbox, "1.00"),
    )

    assert [facts_of(one)["agent.over_ceiling"] for one in (euros, dollar)] == [True, True]
    assert [fresh(one).state for one in (euros, dollar)] == ["pending_approval"] * 2
    assert (
        "There is no exchange rate for JPY from the last 7 days, so nobody knows whether 1.00 EUR "
        "is above the agent's ceiling of 30,000 JPY."
    ) in sentences(euros)
    assert any("no exchange rate for USD and JPY" in one for one in sentences(dollar))


def test_a_rate_that_is_too_old_counts_as_missing_for_a_ceiling(
    cast: Cast, sandbox: Sandbox
) -> None:
    long_ago = db_clock.now().astimezone(UTC).date() - timedelta(days=8)
    set_rate("USD", long_ago, Decimal("0.9215"), actor=INSTALLER)
    limit_agent(cast, "5000.00")

    request = dollars(cast, sandbox, "24.90")

    assert facts_of(request)["agent.over_ceiling"]
    assert any("no exchange rate for USD" in one for one in sentences(request))
