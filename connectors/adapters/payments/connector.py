"""Hands each payments action to the part of the Stripe API that carries it out."""

from __future__ import annotations

from connectors.adapters.payments.bank_accounts import BankAccounts
from connectors.adapters.payments.client import PaymentsClient
from connectors.adapters.payments.refunds import Refunds
from connectors.adapters.payments.transfers import FindOrder, Reversals, VendorPayments
from connectors.base import DispatchingConnector


class PaymentsConnector(DispatchingConnector):
    """The Stripe API."""

    system = "payments"

    def __init__(self, base_url: str, api_key: str, find_order: FindOrder) -> None:
        client = PaymentsClient(base_url, api_key)
        super().__init__(
            {
                "refund.issue": Refunds(client),
                "vendor.pay": VendorPayments(client, find_order),
                "vendor.bank_account": BankAccounts(client),
                "vendor.reverse": Reversals(client),
            }
        )
