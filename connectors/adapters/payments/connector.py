"""Hands each payments action to the part of the Stripe API that carries it out."""

from __future__ import annotations

from connectors.adapters.payments.client import PaymentsClient
from connectors.adapters.payments.refunds import Refunds
from connectors.adapters.payments.transfers import Reversals, VendorPayments
from connectors.base import DispatchingConnector


class PaymentsConnector(DispatchingConnector):
    """The Stripe API; idempotent for 24 hours per key, and able to look keys up for good."""

    system = "payments"
    idempotent = True
    key_window_seconds = 24 * 3600
    can_look_up = True

    def __init__(self, base_url: str, api_key: str) -> None:
        client = PaymentsClient(base_url, api_key)
        super().__init__(
            {
                "refund.issue": Refunds(client),
                "vendor.pay": VendorPayments(client),
                "vendor.reverse": Reversals(client),
            }
        )
