"""A Stripe-shaped payments API: charges, customers, refunds, accounts, transfers, reversals.

Like the real one it takes form bodies, keeps idempotency keys with the request they came with,
and refuses to give back more than was paid.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

from werkzeug.wrappers import Request

from connectors.sandbox import world
from connectors.sandbox.store import Json, Store
from connectors.sandbox.web import Call, Refusal, WebSystem

_NESTED = re.compile(r"\A(\w+)\[(\w+)\]\Z", re.ASCII)


class Payments(WebSystem):
    """The payments API and, on its `/_effects`, the book of what really moved."""

    name = "payments"
    mismatch: ClassVar[tuple[int, str, str]] = (
        400,
        "idempotency_error",
        "Keys for idempotent requests can only be used with the same parameters they were first "
        "used with.",
    )

    def __init__(
        self, store: Store, token: str, elsewhere: Callable[[str], list[Json]] | None = None
    ) -> None:
        self._elsewhere = elsewhere
        super().__init__(
            store,
            token,
            {
                ("GET", "/v1/charges/<charge_id>"): _read("charge"),
                ("GET", "/v1/customers/<customer_id>"): _read("customer"),
                ("GET", "/v1/accounts/<account_id>"): _read("account"),
                ("GET", "/v1/accounts/<account_id>/external_accounts"): _list_bank_accounts,
                ("POST", "/v1/accounts/<account_id>/external_accounts"): _create_bank_account,
                ("GET", "/v1/refunds/<refund_id>"): _read("refund"),
                ("GET", "/v1/refunds"): _list("refund", "charge"),
                ("POST", "/v1/refunds"): _create_refund,
                ("GET", "/v1/transfers/<transfer_id>"): _read("transfer"),
                ("GET", "/v1/transfers"): _list("transfer", "destination", "transfer_group"),
                ("POST", "/v1/transfers"): _create_transfer,
                ("POST", "/v1/transfers/<transfer_id>/reversals"): _create_reversal,
                ("GET", "/v1/transfers/<transfer_id>/reversals"): _list_reversals,
                ("GET", "/v1/transfers/<transfer_id>/reversals/<reversal_id>"): _read_reversal,
            },
        )
        self.furnish()

    def parse(self, request: Request) -> Json:
        """Form fields, with `metadata[key]` gathered into an object."""
        form: Json = {}
        for name, value in request.form.items():
            if nested := _NESTED.match(name):
                form.setdefault(nested[1], {})[nested[2]] = value
            else:
                form[name] = value
        return form

    def error(self, status: int, code: str, message: str) -> Json:
        kind = {
            "idempotency_error": "idempotency_error",
            "internal": "api_error",
        }.get(code, "invalid_request_error")
        return {
            "error": {
                "type": kind,
                "code": code,
                "message": message,
                "request_id": f"req_{secrets.token_hex(7)}",
            }
        }

    def effects(self, system: str) -> list[Json]:
        """This book, another system's, or with `system=all` those of all of them."""
        if system in {"", self.name} or self._elsewhere is None:
            return self.store.effects(self.name)
        return self._elsewhere(system)

    def furnish(self) -> None:
        """Lay out the demo world once; a restart finds it as it was left."""
        with self.store.transaction(self.name) as store:
            if store.get("charge", world.SHOPPERS[0].charge):
                return
            for shopper in world.SHOPPERS:
                store.put("customer", shopper.customer, _customer(shopper))
                store.put("charge", shopper.charge, _charge(shopper))
            for vendor in world.VENDORS:
                store.put("account", vendor.id, _account(vendor))


def _create_refund(call: Call) -> tuple[int, Json]:
    charge = _must_find(call, "charge", call.form.get("charge", ""))
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        raise Refusal(
            400, "charge_already_refunded", f"Charge {charge['id']} has already been refunded."
        )
    amount = _amount(call) if "amount" in call.form else left
    if amount > left:
        raise Refusal(
            400,
            "amount_too_large",
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).",
        )
    refund = _new(call, "refund", "re", amount, charge["currency"]) | {
        "charge": charge["id"],
        "status": "succeeded",
    }
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    call.store.put("charge", charge["id"], charge)
    call.store.put("refund", refund["id"], refund)
    _count(call, refund, "refund", f"charge {charge['id']}")
    return 200, refund


def _create_transfer(call: Call) -> tuple[int, Json]:
    account = _must_find(call, "account", call.form.get("destination", ""))
    if not account["payouts_enabled"]:
        raise Refusal(400, "payouts_not_allowed", f"Payouts to {account['id']} are disabled.")
    currency = call.form.get("currency", "")
    if currency != account["default_currency"]:
        raise Refusal(400, "currency_not_allowed", f"{account['id']} is not paid in {currency!r}.")
    transfer = _new(call, "transfer", "tr", _amount(call), currency) | {
        "destination": account["id"],
        "transfer_group": call.form.get("transfer_group", ""),
        "amount_reversed": 0,
        "reversed": False,
    }
    call.store.put("transfer", transfer["id"], transfer)
    _count(call, transfer, "transfer", f"vendor {account['id']}")
    return 200, transfer


def _create_reversal(call: Call, transfer_id: str) -> tuple[int, Json]:
    transfer = _must_find(call, "transfer", transfer_id)
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = _amount(call) if "amount" in call.form else left
    if amount > left or left == 0:
        raise Refusal(
            400,
            "amount_too_large",
            f"Reversal amount ({amount}) is greater than unreversed amount ({left}).",
        )
    reversal = _new(call, "transfer_reversal", "trr", amount, transfer["currency"]) | {
        "transfer": transfer_id
    }
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    call.store.put("transfer", transfer_id, transfer)
    call.store.put("transfer_reversal", reversal["id"], reversal)
    _count(call, reversal, "reversal", f"transfer {transfer_id}")
    return 200, reversal


def _list_bank_accounts(call: Call, account_id: str) -> tuple[int, Json]:
    account = _must_find(call, "account", account_id)
    found = account["external_accounts"]["data"]
    return 200, _page(call, found, f"/v1/accounts/{account_id}/external_accounts")


def _create_bank_account(call: Call, account_id: str) -> tuple[int, Json]:
    account = _must_find(call, "account", account_id)
    asked = call.form.get("external_account", {})
    if not isinstance(asked, dict) or not asked.get("account_number"):
        raise Refusal(400, "parameter_missing", "Missing required param: external_account.")
    number = f"ba_{call.store.next_number('bank_account'):06d}{secrets.token_hex(6)}"
    made = _bank_account(
        number,
        asked["account_number"],
        asked.get("account_holder_name", ""),
        {
            "since": datetime.fromtimestamp(time.time(), UTC).date().isoformat(),
            **call.form.get("metadata", {}),
        },
    )
    others = [{**one, "default_for_currency": False} for one in _bank_accounts(account)]
    account["external_accounts"]["data"] = [made, *others]
    call.store.put("account", account_id, account)
    call.store.applied(
        made["id"], "bank_account", f"vendor {account_id}", key=call.key, amount=None,
        currency=None, detail={"last4": made["last4"]},
    )  # fmt: skip
    return 200, made


def _bank_accounts(account: Json) -> list[Json]:
    found: list[Json] = account["external_accounts"]["data"]
    return found


def _bank_account(number: str, iban: str, holder: str, metadata: Json) -> Json:
    return {
        "id": number,
        "object": "bank_account",
        "account_holder_name": holder,
        "country": iban[:2],
        "currency": "eur",
        "last4": iban[-4:],
        "default_for_currency": True,
        "metadata": metadata,
    }


def _list_reversals(call: Call, transfer_id: str) -> tuple[int, Json]:
    _must_find(call, "transfer", transfer_id)
    found = [
        item for item in call.store.all("transfer_reversal") if item["transfer"] == transfer_id
    ]
    return 200, _page(call, found, f"/v1/transfers/{transfer_id}/reversals")


def _read_reversal(call: Call, transfer_id: str, reversal_id: str) -> tuple[int, Json]:
    reversal = _must_find(call, "transfer_reversal", reversal_id)
    if reversal["transfer"] != transfer_id:
        raise Refusal(404, "resource_missing", f"No such reversal: '{reversal_id}'")
    return 200, reversal


def _read(kind: str) -> Callable[..., tuple[int, Json]]:
    def view(call: Call, **ids: str) -> tuple[int, Json]:
        (object_id,) = ids.values()
        return 200, _must_find(call, kind, object_id)

    return view


def _list(kind: str, *filters: str) -> Callable[..., tuple[int, Json]]:
    def view(call: Call) -> tuple[int, Json]:
        found = [
            item
            for item in call.store.all(kind)
            if all(name not in call.query or item[name] == call.query[name] for name in filters)
        ]
        return 200, _page(call, found, f"/v1/{kind}s")

    return view


def _page(call: Call, found: list[Json], url: str) -> Json:
    """A page in Stripe's shape: newest first, `starting_after` the last id seen."""
    ids = [item["id"] for item in found]
    after = call.query.get("starting_after")
    start = ids.index(after) + 1 if after in ids else 0
    limit = min(int(call.query.get("limit", "10")), 100)
    return {
        "object": "list",
        "url": url,
        "has_more": start + limit < len(found),
        "data": found[start : start + limit],
    }


def _must_find(call: Call, kind: str, object_id: str) -> Json:
    found = call.store.get(kind, object_id)
    if found is None:
        raise Refusal(404, "resource_missing", f"No such {kind}: '{object_id}'")
    return found


def _amount(call: Call) -> int:
    written = str(call.form.get("amount", ""))
    if not (written.isascii() and written.isdigit()) or int(written) < 1:
        raise Refusal(400, "parameter_invalid_integer", f"Invalid positive integer: {written}")
    return int(written)


def _new(call: Call, kind: str, prefix: str, amount: int, currency: str) -> Json:
    return {
        "id": f"{prefix}_{call.store.next_number(kind):06d}{secrets.token_hex(6)}",
        "object": kind,
        "amount": amount,
        "currency": currency,
        "created": int(time.time()),
        "metadata": call.form.get("metadata", {}),
    }


def _count(call: Call, made: Json, kind: str, target: str) -> None:
    call.store.applied(
        made["id"],
        kind,
        target,
        key=call.key,
        amount=made["amount"],
        currency=made["currency"].upper(),
        detail={"metadata": made["metadata"]},
    )


def _customer(shopper: world.Shopper) -> Json:
    return {
        "id": shopper.customer,
        "object": "customer",
        "name": shopper.name,
        "email": shopper.email,
        "metadata": {
            "account": f"acct_{shopper.number + 1000}",
            "segment": shopper.segment,
            "refunds_90d": str(shopper.refunds_90d),
            "complaints_90d": str(shopper.complaints_90d),
        },
    }


def _charge(shopper: world.Shopper) -> Json:
    return {
        "id": shopper.charge,
        "object": "charge",
        "amount": shopper.amount,
        "amount_refunded": 0,
        "refunded": False,
        "currency": "eur",
        "customer": shopper.customer,
        "description": f"Order of {shopper.name}",
        "status": "succeeded",
        "disputed": False,
        "metadata": {},
    }


def _account(vendor: world.VendorRecord) -> Json:
    return {
        "id": vendor.id,
        "object": "account",
        "business_profile": {"name": vendor.name},
        "country": vendor.country,
        "default_currency": "eur",
        "payouts_enabled": vendor.payouts_enabled,
        "metadata": {"vendor_since": "2023-04-01"},
        "external_accounts": {
            "object": "list",
            "has_more": False,
            "url": f"/v1/accounts/{vendor.id}/external_accounts",
            "data": [
                _bank_account(
                    f"ba_{vendor.id.removeprefix('acct_')}",
                    vendor.bank_account,
                    vendor.name,
                    {"since": vendor.bank_account_since},
                )
            ],
        },
    }
