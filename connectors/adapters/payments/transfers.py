"""Vendor payments and their reversals: one transfer or reversal per key, read back after.

What is paid is held against the purchase order, as whoever keeps the orders has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audit.lib.canonical import JsonObject, JsonValue, digest_of
from audit.lib.money import Money
from connectors.adapters.payments.actions import money_of
from connectors.adapters.payments.client import (
    KEY_FIELD,
    BankAccount,
    PaymentsClient,
    Reversal,
    Transfer,
)
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


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """What was ordered from a vendor, and how much of it has come and waits for its invoice."""

    id: str
    vendor: str
    total: Money
    ordered: int
    received: int
    invoiced: int

    @property
    def open_quantity(self) -> int:
        return self.received - self.invoiced


FindOrder = Callable[[str], PurchaseOrder | None]
"""Looks a purchase order up by number; raises ConnectorError when it cannot tell."""


class VendorPayments:
    def __init__(self, client: PaymentsClient, find_order: FindOrder) -> None:
        self._client = client
        self._find_order = find_order

    def preview(self, action: Action) -> Preview:
        amount = money_of(action.params)
        invoice = text(action.params, "invoice")
        vendor = self._client.vendor(text(action.params, "vendor"))
        earlier = self._client.transfers_for(invoice)
        paid = _paid(earlier, amount.currency)
        number = text(action.params, "purchase_order")
        order = self._find_order(number) if number else None
        on_order = 0
        if order is not None:
            made = self._client.transfers_to(vendor.id)
            same_order = [one for one in made if one.purchase_order == order.id]
            on_order = _paid(same_order, order.total.currency)
        after: dict[str, JsonValue] = {
            "paid_for_invoice": str(Money(paid + amount.minor, amount.currency)),
            "payments_for_invoice": len(earlier) + 1,
        }
        if not vendor.payouts_enabled:
            after = {"problem": f"Payouts to vendor {vendor.id} are switched off."}
        return Preview(
            before={
                "paid_for_invoice": str(Money(paid, amount.currency)),
                "payments_for_invoice": len(earlier),
            },
            after=after,
            target_version=digest_of(
                {
                    "payouts_enabled": vendor.payouts_enabled,
                    "name": vendor.name,
                    "transfers": [[item.id, item.amount_reversed.minor] for item in earlier],
                    "bank_account": vendor.bank_account.id if vendor.bank_account else "",
                    "order": _shown(order, on_order) if order else {},
                }
            ),
            evidence=(
                SystemEvidence(
                    "vendor_record",
                    f"Vendor {vendor.id}",
                    {
                        "name": vendor.name,
                        "country": vendor.country,
                        "payouts_enabled": vendor.payouts_enabled,
                        **vendor.metadata,
                        **shown_bank_account(vendor.bank_account),
                    },
                ),
                *(
                    [
                        SystemEvidence(
                            "purchase_order", f"Purchase order {order.id}", _shown(order, on_order)
                        )
                    ]
                    if order
                    else []
                ),
            ),
            offered={
                "invoice_paid": any(one.reversible.minor > 0 for one in earlier),
                "order_known": order is not None,
                "order_vendor_matches": order is not None and order.vendor == vendor.id,
                "order_total_matches": order is not None
                and amount == Money(order.total.minor - on_order, order.total.currency),
                "order_open_quantity": order.open_quantity if order else 0,
                "bank_account_since": vendor.bank_account.since if vendor.bank_account else "",
            },
        )

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        made = self._client.create_transfer(
            text(action.params, "vendor"),
            money_of(action.params),
            text(action.params, "invoice"),
            text(action.params, "purchase_order"),
            key,
        )
        return _transfer_receipt(made)

    def look_up(self, action: Action, key: str) -> Receipt | None:
        for transfer in self._client.transfers_for(text(action.params, "invoice")):
            if transfer.metadata.get(KEY_FIELD) == key:
                return _transfer_receipt(transfer)
        return None

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        found = self._client.transfer(receipt.reference)
        amount = money_of(action.params)
        observed = {
            "vendor": found.vendor,
            "amount": str(found.amount),
            "reversed": str(found.amount_reversed),
            "invoice": found.invoice,
        }
        expected = {
            "vendor": text(action.params, "vendor"),
            "amount": str(amount),
            "reversed": str(Money(0, amount.currency)),
            "invoice": text(action.params, "invoice"),
        }
        return ReadBack(observed, compare(expected, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        return Action(
            "vendor.reverse",
            {
                "transfer": receipt.reference,
                "amount": money_of(action.params).decimal,
                "currency": text(action.params, "currency"),
            },
        )


class Reversals:
    def __init__(self, client: PaymentsClient) -> None:
        self._client = client

    def preview(self, action: Action) -> Preview:
        transfer = self._client.transfer(text(action.params, "transfer"))
        amount = money_of(action.params)
        left = Money(
            transfer.amount.minor - transfer.amount_reversed.minor, transfer.amount.currency
        )
        after: dict[str, JsonValue] = {"reversed": _plus(transfer.amount_reversed, amount)}
        if amount.currency != left.currency or amount.minor > left.minor:
            after = {"problem": f"Only {left} of transfer {transfer.id} can be reversed."}
        return Preview(
            before={"reversed": str(transfer.amount_reversed)},
            after=after,
            target_version=digest_of(
                {
                    "amount": transfer.amount.minor,
                    "currency": transfer.amount.currency,
                    "reversed": transfer.amount_reversed.minor,
                    "vendor": transfer.vendor,
                }
            ),
            evidence=(
                SystemEvidence(
                    "source_record",
                    f"Vendor payment {transfer.id}",
                    {
                        "vendor": transfer.vendor,
                        "amount": str(transfer.amount),
                        "invoice": transfer.invoice,
                    },
                ),
            ),
        )

    def execute(self, action: Action, key: str, guard: str) -> Receipt:
        amount = money_of(action.params)
        transfer = self._client.transfer(text(action.params, "transfer"))
        if transfer.amount.currency != amount.currency:
            raise ConnectorError(
                f"Transfer {transfer.id} is in {transfer.amount.currency}, not {amount.currency}.",
                permanent=True,
                code="currency_mismatch",
            )
        return _reversal_receipt(self._client.create_reversal(transfer.id, amount, key))

    def look_up(self, action: Action, key: str) -> Receipt | None:
        for reversal in self._client.reversals_of(text(action.params, "transfer")):
            if reversal.metadata.get(KEY_FIELD) == key:
                return _reversal_receipt(reversal)
        return None

    def verify(self, action: Action, receipt: Receipt) -> ReadBack:
        found = self._client.reversal(text(action.params, "transfer"), receipt.reference)
        observed = {"transfer": found.transfer, "amount": str(found.amount)}
        expected = {
            "transfer": text(action.params, "transfer"),
            "amount": str(money_of(action.params)),
        }
        return ReadBack(observed, compare(expected, observed))

    def compensate(self, action: Action, receipt: Receipt) -> Action:
        raise cannot_undo("A reversed payment is undone only by paying the vendor again.")


def shown_bank_account(account: BankAccount | None) -> JsonObject:
    """As evidence."""
    if account is None:
        return {"bank_account": "none"}
    return {
        "bank_account": f"{account.country} ... {account.last4}",
        "bank_account_holder": account.holder,
        "bank_account_since": account.since or "unknown",
    }


def _shown(order: PurchaseOrder, paid: int) -> JsonObject:
    return {
        "vendor": order.vendor,
        "total": str(order.total),
        "paid_so_far": str(Money(paid, order.total.currency)),
        "ordered": order.ordered,
        "received": order.received,
        "open_quantity": order.open_quantity,
    }


def _paid(transfers: list[Transfer], currency: str) -> int:
    """What of these was not taken back, in minor units."""
    return sum(one.reversible.minor for one in transfers if one.amount.currency == currency)


def _transfer_receipt(transfer: Transfer) -> Receipt:
    return Receipt(
        transfer.id,
        f"Transfer {transfer.id} of {transfer.amount} to {transfer.vendor}.",
        {"vendor": transfer.vendor, "amount": str(transfer.amount), "invoice": transfer.invoice},
    )


def _reversal_receipt(reversal: Reversal) -> Receipt:
    return Receipt(
        reversal.id,
        f"Reversal {reversal.id} of {reversal.amount}.",
        {"transfer": reversal.transfer, "amount": str(reversal.amount)},
    )


def _plus(money: Money, amount: Money) -> str:
    return str(Money(money.minor + amount.minor, money.currency))
