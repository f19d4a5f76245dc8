"""A standing approval is a policy rule with a scope and an end; every use of it is on record."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from approvals.choices import State
from approvals.models import ActionRequest
from audit.selectors import events_of
from tests.approvals.make import Cast, fresh, make_request, publish
from tests.approvals.story import codes

pytestmark = pytest.mark.django_db

RENT = """  - id: rent-of-the-year
    owner: head of finance
    reason: The rent of the warehouse, as agreed in January.
    when:
      - action.type == "vendor.pay"
      - action.counterparty == "acct_5001"
      - action.currency == "EUR" && action.amount <= 70000
      - velocity.customer_sum_30d <= 140000
    effect: allow
    standing:
      until: {until}
      instead_of: [vendor-payment, vendor-first-payment, order-total-differs]
"""


def agree_on_rent(cast: Cast, *, days: int) -> None:
    """Publish a standing approval that ends that many days from now."""
    until = (timezone.localdate() + timedelta(days=days)).isoformat()
    publish(
        cast, ("  - id: vendor-payment\n", RENT.format(until=until) + "  - id: vendor-payment\n")
    )


def pay(cast: Cast, *, vendor: str = "acct_5001", amount: str = "640.00") -> ActionRequest:
    params = {
        "vendor": vendor,
        "amount": amount,
        "currency": "EUR",
        "invoice": f"INV-{amount}",
        "purchase_order": "PO-7731",
    }
    return make_request(cast.agent, params, action_type="vendor.pay")


def test_what_it_covers_runs_and_the_use_is_on_record(cast: Cast) -> None:
    agree_on_rent(cast, days=30)

    request = pay(cast)

    assert fresh(request).state == State.APPROVED
    assert codes(request).count("standing.used") == 1
    used = events_of(request).get(code="standing.used")
    data = json.loads(used.data)
    assert data["rule"] == "rent-of-the-year"
    assert request.grants.get().approvers == []


def test_each_use_is_its_own_record(cast: Cast) -> None:
    agree_on_rent(cast, days=30)

    uses = [codes(pay(cast, amount=amount)).count("standing.used") for amount in ("10.00", "11.00")]

    assert uses == [1, 1]


@pytest.mark.parametrize(("vendor", "amount"), [("acct_5002", "640.00"), ("acct_5001", "700.01")])
def test_outside_its_scope_people_decide(cast: Cast, vendor: str, amount: str) -> None:
    agree_on_rent(cast, days=30)

    request = pay(cast, vendor=vendor, amount=amount)

    assert fresh(request).state == State.PENDING_APPROVAL
    assert "standing.used" not in codes(request)


def test_it_ends_with_its_last_day(cast: Cast) -> None:
    agree_on_rent(cast, days=0)
    assert fresh(pay(cast, amount="10.00")).state == State.APPROVED

    agree_on_rent(cast, days=-1)

    assert fresh(pay(cast, amount="11.00")).state == State.PENDING_APPROVAL
