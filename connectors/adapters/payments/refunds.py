"""Refunds: the charge and its customer shown before, one refund per key, read back after."""

from __future__ import annotations

from collections.abc import Mapping

from audit.lib.canonical import JsonObject, JsonValue, digest_of
from audit.lib.money import Money
from connectors.adapters.payments.actions import money_of
from connectors.adapters.payments.client import KEY_FIELD, Charge, Customer, PaymentsClient, Refund
from connectors.base import (
    Action,
    ConnectorError,
    Preview,
    ReadBack,
    Receipt,
    SystemEvidence,
    cannot_undo,
    compare,
)
from connectors.catalogue import text

_GOING_THROUGH = ("succeeded", "pending")


class Refunds:
    def __init__(self, client: PaymentsClient) -> None:
        self._client = client

    def preview(self, action: Action) -> Preview:
        charge = self._client.charge(text(action.params, "charge"))
        customer = self._client.customer(charge.customer) if charge.customer else None
        amount = money_of(action.params)
        after: dict[str, JsonValue] = {
            "refunded": _plus(charge.amount_refunded, amount),
            "refundable": _minus(charge.refundable, amount),
        }
        if problem := _why_not_refundable(charge, amount):
            after = {"problem": problem}
        return Preview(
            before={
                "refunded": str(charge.amount_refunded),
                "refundable": str(charge.refundable),
            },
            after=after,
            target_version=digest_of(_what_matters(charge)),
            evidence=_refund_evidence(charge, customer),
            facts=_customer_facts(customer),
        )

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        # A refund carries no currency of its own: the charge's decides, so it is checked first.
        amount = money_of(action.params)
        charge = self._client.charge(text(action.params, "charge"))
        if charge.amount.currency != amount.currency:
            raise ConnectorError(
                f"Charge {charge.id} is in {charge.amount.currency}, not {amount.currency}.",
                permanent=True,
                code="currency_mismatch",
            )
        made = self._client.create_refund(charge.id, amount, text(action.params, "reason"), key)
        return _refund_receipt(made)

    def look_up(self, action: Action, key: str) -> Receipt | None:
        for refund in self._client.refunds_of(text(action.params, "charge")):
            if refund.metadata.get(KEY_FIELD) == key:
                return _refund_receipt(refund)
        return None

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        found = self._client.refund(receipt.reference)
        observed = {
            "charge": found.charge,
            "amount": str(found.amount),
            "status": "going through" if found.status in _GOING_THROUGH else found.status,
        }
        expected = {
            "charge": text(action.params, "charge"),
            "amount": str(money_of(action.params)),
            "status": "going through",
        }
        return ReadBack({**observed, "status": found.status}, compare(expected, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        raise cannot_undo("A refund that went through cannot be taken back.")


def _why_not_refundable(charge: Charge, amount: Money) -> str:
    if charge.status != "succeeded":
        return f"Charge {charge.id} is {charge.status}; only succeeded charges are refunded."
    if charge.disputed:
        return f"Charge {charge.id} is disputed; the bank decides over this money."
    if charge.amount.currency != amount.currency:
        return f"Charge {charge.id} is in {charge.amount.currency}, not {amount.currency}."
    if amount.minor > charge.refundable.minor:
        return f"Only {charge.refundable} of charge {charge.id} is left to refund."
    return ""


def _what_matters(charge: Charge) -> JsonObject:
    return {
        "amount": charge.amount.minor,
        "currency": charge.amount.currency,
        "refunded": charge.amount_refunded.minor,
        "customer": charge.customer,
        "status": charge.status,
        "disputed": charge.disputed,
    }


def _refund_evidence(charge: Charge, customer: Customer | None) -> tuple[SystemEvidence, ...]:
    about_charge = SystemEvidence(
        "charge",
        f"Charge {charge.id}",
        {
            "charged": str(charge.amount),
            "refunded": str(charge.amount_refunded),
            "status": charge.status,
            "disputed": charge.disputed,
            "description": charge.description,
        },
    )
    if customer is None:
        return (about_charge,)
    about_customer = SystemEvidence(
        "customer_record",
        f"Customer {customer.id}",
        {"name": customer.name, "email": customer.email, **customer.metadata},
    )
    return (about_charge, about_customer)


def _customer_facts(customer: Customer | None) -> Mapping[str, JsonValue]:
    """A customer whose history cannot be read counts as unknown, never as one without history."""
    refunds = _count(customer, "refunds_90d")
    complaints = _count(customer, "complaints_90d")
    if customer is None:
        return {"customer.known": False}
    if refunds is None or complaints is None:
        return {"customer.id": customer.id, "customer.known": False}
    return {
        "customer.id": customer.id,
        "customer.known": True,
        "customer.segment": customer.metadata.get("segment", ""),
        "customer.refunds_90d": refunds,
        "customer.complaints_90d": complaints,
    }


def _count(customer: Customer | None, name: str) -> int | None:
    value = customer.metadata.get(name, "") if customer is not None else ""
    return int(value) if value.isascii() and value.isdigit() else None


def _refund_receipt(refund: Refund) -> Receipt:
    return Receipt(
        refund.id,
        f"Refund {refund.id} of {refund.amount} ({refund.status}).",
        {"charge": refund.charge, "amount": str(refund.amount), "status": refund.status},
    )


def _plus(money: Money, amount: Money) -> str:
    return str(Money(money.minor + amount.minor, money.currency))


def _minus(money: Money, amount: Money) -> str:
    return str(Money(money.minor - amount.minor, money.currency))
