"""A day in accounts payable, told through the API and the admin's forms."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from tests.journeys.conftest import House

OK = {"reason_code": "as_proposed", "comment": ""}
VENDOR = "acct_5002"


def pay(house: House, invoice: str, amount: str, order: str = "") -> dict[str, Any]:
    """The agent proposes to pay an invoice of the vendor."""
    params = {"vendor": VENDOR, "amount": amount, "currency": "EUR", "invoice": invoice}
    if order:
        params["purchase_order"] = order
    body = {"action_type": "vendor.pay", "params": params, "intent": "It came this morning."}
    return house.agent.propose(body, key=f"{invoice}-{amount}-{order}")


def reasons(asked: dict[str, Any]) -> set[str]:
    """The rules that sent it to people."""
    matched = asked["policy"]["matched"]
    return {rule["rule"] for rule in matched if rule["effect"] == "require_approval"}


def decided(house: House, asked: dict[str, Any], *people: str) -> dict[str, Any]:
    """They say yes, and it is carried out."""
    for person in people:
        house.person(person).decide(asked["id"], "approve", OK)
    house.work()
    return house.agent.get(asked["id"])


@pytest.fixture
def paid_before(house: House) -> None:
    """The vendor's first invoice: a new payee is never paid unseen."""
    asked = pay(house, "INV-1", "120.00", "PO-7002")

    assert (asked["state"], reasons(asked)) == ("pending_approval", {"vendor-first-payment"})
    assert decided(house, asked, "fiona", "max")["state"] == "audited"


def test_a_matched_invoice_is_paid_by_itself_and_read_back(house: House, paid_before: None) -> None:
    asked = pay(house, "INV-2", "110.00", "PO-7003")
    house.work()

    done = house.agent.get(asked["id"])
    assert (done["verdict"], done["risk_tier"], done["state"]) == ("allow", 3, "audited")
    assert done["impact"]["money_at_risk"] == "110.00 EUR"
    transfers = [e for e in house.effects("payments") if e["kind"] == "transfer"]
    assert sorted(transfer["amount"] for transfer in transfers) == [11_000, 12_000]
    call_command("verify_audit")


@pytest.mark.parametrize(
    ("invoice", "amount", "order", "why"),
    [
        ("INV-3", "95.00", "PO-7005", {"order-total-differs"}),
        ("INV-4", "90.00", "", {"vendor-no-purchase-order"}),
        ("INV-5", "90.00", "PO-9999", {"order-unknown"}),
        ("INV-6", "40.00", "PO-7004", {"order-not-received"}),
        ("INV-7", "120.00", "PO-7002", {"order-total-differs"}),  # the order has been paid
        ("INV-1", "90.00", "PO-7005", {"invoice-paid", "invoice-pending"}),  # paid twice
    ],
)
def test_what_does_not_match_goes_to_finance_and_a_manager(
    house: House, paid_before: None, invoice: str, amount: str, order: str, why: set[str]
) -> None:
    asked = pay(house, invoice, amount, order)
    house.work()

    assert house.agent.get(asked["id"])["state"] == "pending_approval"
    assert reasons(asked) - {"vendor-split"} == why
    assert {need["group"] for need in asked["requirements"]} == {"finance", "manager"}
    assert len([e for e in house.effects("payments") if e["kind"] == "transfer"]) == 1


def test_invoices_split_below_the_limit_are_added_up(house: House, paid_before: None) -> None:
    second = pay(house, "INV-2", "110.00", "PO-7003")
    third = pay(house, "INV-8", "90.00", "PO-7005")

    assert second["verdict"] == "allow"
    assert (third["state"], reasons(third)) == ("pending_approval", {"vendor-split"})


def test_an_invoice_that_is_pending_is_not_paid_under_another_amount(
    house: House, paid_before: None
) -> None:
    first = pay(house, "INV-9", "95.00", "PO-7005")
    again = pay(house, "INV-9", "90.00", "PO-7005")

    assert reasons(first) == {"order-total-differs"}
    assert "invoice-pending" in reasons(again)
    assert again["state"] == "pending_approval"


def test_money_to_a_new_bank_account_waits_for_a_call_and_for_security(
    house: House, paid_before: None
) -> None:
    params = {"vendor": VENDOR, "iban": "DE02120300000000202051", "holder": "Papierwerk Kollnau"}
    body = {"action_type": "vendor.bank_account", "params": params, "intent": "They wrote."}
    told = {"kind": "bank_confirmation", "title": "Call", "excerpt": "They say it is theirs."}
    asked = house.agent.propose({**body, "evidence": [told]}, key="bank")
    assert [(gap["kind"], gap["by"]) for gap in asked["evidence_gaps"]] == [
        ("bank_confirmation", "people")
    ]
    with pytest.raises(LookupError):  # an agent's word is no call
        house.person("fiona").decide(asked["id"], "approve", OK)

    called = {"kind": "bank_confirmation", "title": "Call", "text": "Ms Vogt, known number."}
    house.person("olga").decide(asked["id"], "supply", {**called, "uri": ""})
    with pytest.raises(LookupError):
        house.person("olga").decide(asked["id"], "approve", OK)
    assert decided(house, asked, "fiona", "sven")["state"] == "verified"

    next_invoice = pay(house, "INV-2", "110.00", "PO-7003")
    assert reasons(next_invoice) == {"vendor-new-bank-account"}
    groups = {need["group"] for need in next_invoice["requirements"]}
    assert groups == {"finance", "manager", "security"}
    call_command("verify_audit")
