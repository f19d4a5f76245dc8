"""The Stripe API through Stripe's own library, over our HTTP client, as small typed values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import httpx
import stripe

from audit.lib.money import Money
from connectors import http


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    name: str
    email: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Charge:
    id: str
    amount: Money
    amount_refunded: Money
    customer: str
    description: str
    status: str
    disputed: bool

    @property
    def refundable(self) -> Money:
        return Money(self.amount.minor - self.amount_refunded.minor, self.amount.currency)


@dataclass(frozen=True, slots=True)
class Refund:
    id: str
    charge: str
    amount: Money
    status: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BankAccount:
    id: str
    holder: str
    country: str
    last4: str
    is_default: bool
    since: str  # the day it was entered, "2026-11-20"; "" where nobody knows
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Vendor:
    id: str
    name: str
    country: str
    currency: str
    payouts_enabled: bool
    metadata: Mapping[str, str]
    bank_accounts: tuple[BankAccount, ...]

    @property
    def bank_account(self) -> BankAccount | None:
        """The one that is paid."""
        return next((one for one in self.bank_accounts if one.is_default), None)


@dataclass(frozen=True, slots=True)
class Transfer:
    id: str
    vendor: str
    amount: Money
    amount_reversed: Money
    invoice: str
    metadata: Mapping[str, str]

    @property
    def purchase_order(self) -> str:
        return self.metadata.get("purchase_order", "")

    @property
    def reversible(self) -> Money:
        return Money(self.amount.minor - self.amount_reversed.minor, self.amount.currency)


@dataclass(frozen=True, slots=True)
class Reversal:
    id: str
    transfer: str
    amount: Money
    metadata: Mapping[str, str]


# Nothing about this machine goes to the provider beside the requests themselves.
stripe.enable_telemetry = False

_PAGE = 100
KEY_FIELD = "countersign_key"
"""Our idempotency key in the metadata: the provider forgets its header after 24 hours."""


class _HttpClient(stripe.HTTPClient):
    """Carries the library's requests over our client; transport errors pass through unchanged."""

    name = "countersign"

    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self._client = client

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        response = self._client.request(method, url, headers=dict(headers or {}), content=post_data)
        return response.text, response.status_code, response.headers


class PaymentsClient:
    """One connector call's worth of requests to the payments API."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key

    @contextmanager
    def reading(self) -> Iterator[stripe.StripeClient]:
        """Requests that change nothing; failures are ConnectorError."""
        with http.reading("payments"), self._open() as api:
            try:
                yield api
            except stripe.StripeError as error:
                http.refuse_read("payments", error.http_status or 0, self._say(error), _code(error))

    @contextmanager
    def writing(self) -> Iterator[stripe.StripeClient]:
        """Exactly one request that moves money; failures say what they prove."""
        with http.writing("payments"), self._open() as api:
            try:
                yield api
            except stripe.StripeError as error:
                http.refuse_write(
                    "payments", error.http_status or 0, self._say(error), _code(error)
                )

    def charge(self, charge_id: str) -> Charge:
        with self.reading() as api:
            return _parsed(_charge, api.v1.charges.retrieve(charge_id))

    def customer(self, customer_id: str) -> Customer:
        with self.reading() as api:
            return _parsed(_customer, api.v1.customers.retrieve(customer_id))

    def refund(self, refund_id: str) -> Refund:
        with self.reading() as api:
            return _parsed(_refund, api.v1.refunds.retrieve(refund_id))

    def refunds_of(self, charge_id: str) -> list[Refund]:
        """Every refund of the charge, whatever its status."""
        with self.reading() as api:
            page = api.v1.refunds.list({"charge": charge_id, "limit": _PAGE})
            return [_parsed(_refund, item) for item in page.auto_paging_iter()]

    def vendor(self, vendor_id: str) -> Vendor:
        with self.reading() as api:
            return _parsed(_vendor, api.v1.accounts.retrieve(vendor_id))

    def transfer(self, transfer_id: str) -> Transfer:
        with self.reading() as api:
            return _parsed(_transfer, api.v1.transfers.retrieve(transfer_id))

    def transfers_for(self, invoice: str) -> list[Transfer]:
        """Every transfer made for the invoice (its transfer group), to whatever vendor."""
        with self.reading() as api:
            page = api.v1.transfers.list({"transfer_group": invoice, "limit": _PAGE})
            return [_parsed(_transfer, item) for item in page.auto_paging_iter()]

    def transfers_to(self, vendor_id: str) -> list[Transfer]:
        """Every transfer made to the vendor, for whatever invoice."""
        with self.reading() as api:
            page = api.v1.transfers.list({"destination": vendor_id, "limit": _PAGE})
            return [_parsed(_transfer, item) for item in page.auto_paging_iter()]

    def reversals_of(self, transfer_id: str) -> list[Reversal]:
        with self.reading() as api:
            page = api.v1.transfers.reversals.list(transfer_id, {"limit": _PAGE})
            return [_parsed(_reversal, item) for item in page.auto_paging_iter()]

    def reversal(self, transfer_id: str, reversal_id: str) -> Reversal:
        with self.reading() as api:
            return _parsed(_reversal, api.v1.transfers.reversals.retrieve(transfer_id, reversal_id))

    def create_refund(self, charge_id: str, amount: Money, reason: str, key: str) -> Refund:
        """Refund part of a charge, once per key."""
        with self.writing() as api:
            made = api.v1.refunds.create(
                {
                    "charge": charge_id,
                    "amount": amount.minor,
                    "metadata": {KEY_FIELD: key, "reason": reason},
                },
                {"idempotency_key": key},
            )
            return _parsed(_refund, made)

    def create_transfer(
        self, vendor_id: str, amount: Money, invoice: str, purchase_order: str, key: str
    ) -> Transfer:
        """Pay a vendor, once per key."""
        with self.writing() as api:
            made = api.v1.transfers.create(
                {
                    "destination": vendor_id,
                    "amount": amount.minor,
                    "currency": amount.currency.lower(),
                    "transfer_group": invoice,
                    "metadata": {KEY_FIELD: key, "purchase_order": purchase_order},
                },
                {"idempotency_key": key},
            )
            return _parsed(_transfer, made)

    def create_bank_account(self, vendor: Vendor, iban: str, holder: str, key: str) -> BankAccount:
        """Have the vendor paid to another bank account, once per key."""
        with self.writing() as api:
            made = api.v1.accounts.external_accounts.create(
                vendor.id,
                {
                    "external_account": {
                        "object": "bank_account",
                        "account_number": iban,
                        "account_holder_name": holder,
                        "country": iban[:2],
                        "currency": vendor.currency.lower(),
                    },
                    "default_for_currency": True,
                    "metadata": {KEY_FIELD: key},
                },
                {"idempotency_key": key},
            )
            return _parsed(_bank_account, made)

    def create_reversal(self, transfer_id: str, amount: Money, key: str) -> Reversal:
        """Take back part of a transfer, once per key."""
        with self.writing() as api:
            made = api.v1.transfers.reversals.create(
                transfer_id,
                {"amount": amount.minor, "metadata": {KEY_FIELD: key}},
                {"idempotency_key": key},
            )
            return _parsed(_reversal, made)

    @contextmanager
    def _open(self) -> Iterator[stripe.StripeClient]:
        with http.open_client() as client:
            yield stripe.StripeClient(
                self._api_key,
                base_addresses={"api": self._base_url},
                max_network_retries=0,  # retrying is the executor's decision, by its own rules
                http_client=_HttpClient(client),
            )

    def _say(self, error: stripe.StripeError) -> str:
        return http.redact(error.user_message or str(error), self._api_key)


def _code(error: stripe.StripeError) -> str:
    if isinstance(error, stripe.IdempotencyError):
        return "idempotency_error"
    return str(error.code or "")


_Raw: TypeAlias = Mapping[str, Any]  # the provider's JSON, before it is one of our values
_Value = TypeVar("_Value")


def _parsed(read: Callable[[_Raw], _Value], answer: stripe.StripeObject) -> _Value:
    """One of our values from the provider's answer; a wrong shape is an unreadable answer."""
    try:
        return read(answer.to_dict())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise http.UnreadableAnswer("The answer lacks what it should hold.") from error


def _money(raw: _Raw, name: str) -> Money:
    minor = raw[name]
    if not isinstance(minor, int) or isinstance(minor, bool):
        raise TypeError(f"{name} is not an integer")
    return Money(minor, raw["currency"].upper())


def _metadata(raw: _Raw) -> dict[str, str]:
    return {str(name): str(value) for name, value in (raw.get("metadata") or {}).items()}


def _customer(raw: _Raw) -> Customer:
    return Customer(raw["id"], raw.get("name") or "", raw.get("email") or "", _metadata(raw))


def _charge(raw: _Raw) -> Charge:
    return Charge(
        id=raw["id"],
        amount=_money(raw, "amount"),
        amount_refunded=_money(raw, "amount_refunded"),
        customer=raw.get("customer") or "",
        description=raw.get("description") or "",
        status=raw["status"],
        disputed=bool(raw["disputed"]),
    )


def _refund(raw: _Raw) -> Refund:
    return Refund(raw["id"], raw["charge"], _money(raw, "amount"), raw["status"], _metadata(raw))


def _vendor(raw: _Raw) -> Vendor:
    profile = raw.get("business_profile") or {}
    accounts = raw.get("external_accounts") or {}
    return Vendor(
        id=raw["id"],
        name=profile.get("name") or "",
        country=raw.get("country") or "",
        currency=(raw.get("default_currency") or "").upper(),
        payouts_enabled=bool(raw["payouts_enabled"]),
        metadata=_metadata(raw),
        bank_accounts=tuple(map(_bank_account, accounts.get("data", ()))),
    )


def _bank_account(raw: _Raw) -> BankAccount:
    metadata = _metadata(raw)
    return BankAccount(
        id=raw["id"],
        holder=raw.get("account_holder_name") or "",
        country=raw.get("country") or "",
        last4=raw["last4"],
        is_default=bool(raw.get("default_for_currency")),
        since=metadata.get("since", ""),
        metadata=metadata,
    )


def _transfer(raw: _Raw) -> Transfer:
    return Transfer(
        id=raw["id"],
        vendor=raw["destination"],
        amount=_money(raw, "amount"),
        amount_reversed=_money(raw, "amount_reversed"),
        invoice=raw.get("transfer_group") or "",
        metadata=_metadata(raw),
    )


def _reversal(raw: _Raw) -> Reversal:
    return Reversal(raw["id"], raw["transfer"], _money(raw, "amount"), _metadata(raw))
