"""NetSuite: customers, items, currencies, credit memos and vendor bills of one account."""

from __future__ import annotations

from typing import Any, ClassVar

from connectors.base import Receipt
from connectors.sandbox.store import Json
from connectors.sandbox.web import Refusal
from tests.vendors.cases import Case
from tests.vendors.double import TEXT, Call, Route, Said, Vendor, closed

_AT = "/services/rest/record/v1"
_KINDS = "customer, currency, serviceSaleItem, creditMemo, vendorBill"
_NAMES = {"ON": "On", "OFF": "Off", "AUTO": "Auto"}
_STATUSES = {"1": "Pending Approval", "2": "Approved", "3": "Rejected"}
_REF = closed({"id": TEXT})
_MEMO = closed(
    {
        "externalId": {"type": "string", "minLength": 1},
        "entity": _REF,
        "memo": TEXT,
        "item": closed(
            {
                "items": {
                    "type": "array",
                    "minItems": 1,
                    "items": closed(
                        {"item": _REF, "quantity": {"type": "number"}, "rate": {"type": "number"}}
                    ),
                }
            }
        ),
    }
)


def _read(call: Call, kind: str, name: str) -> Said:
    if name.startswith("eid:"):
        named = call.store.get(f"{kind} eid", name.removeprefix("eid:"))
        name = named["id"] if named else ""
    found = call.store.get(kind, name)
    if found is None:
        raise Refusal(404, "NONEXISTENT_ID", "The record instance does not exist.")
    return 200, {"id": name, "links": [], **found}


def _currencies(call: Call) -> Said:
    return 200, {"count": 1, "hasMore": False, "items": [{"id": "4", "links": []}]}


def _located(kind: str, name: str) -> Said:
    address = f"https://123.suitetalk.api.netsuite.com{_AT}/{kind}/{name}"
    return 204, None, {"Location": address}


def _credit(call: Call) -> Said:
    form = call.form
    if call.store.get("creditMemo eid", form["externalId"]) is not None:
        raise Refusal(400, "DUP_RCRD", "A record with this externalId exists already.")
    customer = call.must_find("customer", form["entity"]["id"])
    (line,) = form["item"]["items"]
    item = call.must_find("serviceSaleItem", line["item"]["id"])
    net = round(line["quantity"] * line["rate"], 2)
    number = str(7000 + call.store.next_number("creditMemo"))
    memo = {
        "externalId": form["externalId"],
        "entity": {"id": form["entity"]["id"], "refName": customer["companyName"]},
        "memo": form["memo"],
        "subtotal": net,
        "total": net,
        "currency": customer["currency"],
        "custbody_item": item["itemId"],
    }
    call.store.put("creditMemo", number, memo)
    call.store.put("creditMemo eid", form["externalId"], {"id": number})
    call.applied("creditMemo", number, key=form["externalId"])
    return _located("creditMemo", number)


def _hold(call: Call, name: str) -> Said:
    call.must_find("customer", name)
    chosen = call.form["creditHoldOverride"]["id"]
    call.change("customer", name, creditHoldOverride={"id": chosen, "refName": _NAMES[chosen]})
    call.applied("customer", name)
    return _located("customer", name)


def _approve(call: Call, name: str) -> Said:
    call.must_find("vendorBill", name)
    status = call.form["approvalStatus"]["id"]
    call.change("vendorBill", name, approvalStatus={"id": status, "refName": _STATUSES[status]})
    call.applied("vendorBill", name)
    return _located("vendorBill", name)


class NetSuite(Vendor):
    name = "netsuite"
    routes: ClassVar[tuple[Route, ...]] = (
        Route("GET", f"{_AT}/<any({_KINDS}):kind>/<name>", _read),
        Route("GET", f"{_AT}/currency", _currencies, query=("limit",)),
        Route("POST", f"{_AT}/creditMemo", _credit, body=_MEMO),
        Route("PATCH", f"{_AT}/customer/<name>", _hold,
              body=closed({"creditHoldOverride": closed({"id": {"enum": [*_NAMES]}})})),
        Route("PATCH", f"{_AT}/vendorBill/<name>", _approve,
              body=closed({"approvalStatus": closed({"id": {"enum": [*_STATUSES]}})})),
    )  # fmt: skip

    def furnish(self) -> None:
        self.put("currency", "4", {"name": "Euro", "symbol": "EUR"})
        self.put("serviceSaleItem", "233", {"itemId": "Goodwill"})
        euro = {"id": "4", "refName": "Euro"}
        customer = {"companyName": "Lampenhaus Köln", "entityId": "CUST-1107", "currency": euro,
                    "balance": 410.5, "isInactive": False,
                    "creditHoldOverride": {"id": "AUTO", "refName": "Auto"}}  # fmt: skip
        bill = {"tranId": "INV-2040", "entity": {"id": "88", "refName": "Papierwerk Kollnau"},
                "total": 1250, "currency": euro,
                "approvalStatus": {"id": "1", "refName": "Pending Approval"}}  # fmt: skip
        self.put("customer", "1107", customer)
        self.put("vendorBill", "5302", bill)

    def error(self, status: int, code: str, message: str) -> Json:
        detail = {"detail": message, "o:errorCode": code}
        return {"type": "about:blank", "title": "Error", "status": status,
                "o:errorDetails": [detail]}  # fmt: skip


def _edited(double: NetSuite, receipt: Receipt) -> Any:
    """A bookkeeper writes into the credit memo; a repeat must leave it alone."""
    double.change("creditMemo", receipt.reference, memo="Agreed by phone")
    return lambda: double.object("creditMemo", receipt.reference)["memo"] == "Agreed by phone"


def _cheaper(double: NetSuite, receipt: Receipt) -> None:
    double.change("creditMemo", receipt.reference, subtotal=18)


def _set(kind: str, name: str, **values: Any) -> Any:
    return lambda double, receipt: double.change(kind, name, **values)


CASES = (
    Case(operation="credit_memo.issue", shows="Lampenhaus Köln", survives=_edited,
         tampered=_cheaper),
    Case(operation="customer.hold", shows="Lampenhaus Köln",
         tampered=_set("customer", "1107", creditHoldOverride={"id": "OFF", "refName": "Off"})),
    Case(operation="vendor_bill.approve", shows="Papierwerk Kollnau",
         tampered=_set("vendorBill", "5302", approvalStatus={"id": "3", "refName": "Rejected"})),
)  # fmt: skip
