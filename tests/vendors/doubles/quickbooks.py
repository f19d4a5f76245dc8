"""QuickBooks Online: customers, items, credit memos and invoices of one company.

A request id is remembered with its answer. What another body under it is answered is nowhere
documented; here it is refused, so that nobody relies on either.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from connectors.base import Receipt
from connectors.sandbox.store import Answer, Json
from connectors.sandbox.web import Refusal
from tests.vendors.cases import Case
from tests.vendors.double import TEXT, Call, Route, Said, Vendor, closed

_REF = closed({"value": TEXT})
_MEMO = closed(
    {
        "CustomerRef": _REF,
        "CurrencyRef": _REF,
        "CustomerMemo": _REF,
        "Line": {
            "type": "array",
            "minItems": 1,
            "items": closed(
                {
                    "Amount": {"type": "number"},
                    "DetailType": {"const": "SalesItemLineDetail"},
                    "SalesItemLineDetail": closed({"ItemRef": _REF}),
                }
            ),
        },
    }
)
_SPARSE = closed(
    {"Id": TEXT, "SyncToken": TEXT, "sparse": {"const": True}},
    {"CompanyName": TEXT, "Notes": TEXT, "PrimaryEmailAddr": closed({"Address": TEXT})},
)


def _read(kind: str) -> Callable[..., Said]:
    def view(call: Call, name: str) -> Said:
        found = call.store.get(kind, name)
        if found is None:
            raise Refusal(400, "610", "Object Not Found: Something you're trying to use is gone")
        return 200, {kind: found, "time": "2026-11-22T02:00:00.000-08:00"}

    return view


def _first(call: Call) -> Said:
    if call.query["query"] != "select Id from Customer maxresults 1":
        raise Refusal(400, "4000", "Error parsing query")
    return 200, {"QueryResponse": {"Customer": [{"Id": "58"}]}}


def _once(view: Callable[[Call], Json], kind: str) -> Callable[[Call], Said]:
    """The answer of a used request id is given again."""

    def remembered(call: Call) -> Said:
        key, asked = call.query.get("requestid", ""), json.dumps([kind, call.form], sort_keys=True)
        if not 0 < len(key) <= 50:
            raise Refusal(400, "2020", "Required param missing or longer than 50: requestid")
        if earlier := call.store.answer(key):
            if earlier.request != asked:
                raise Refusal(400, "2040", "This requestid was used with another request.")
            return earlier.status, json.loads(earlier.body)
        answer = {kind: view(call), "time": "2026-11-22T02:00:00.000-08:00"}
        call.applied(kind, answer[kind]["Id"], key=key)
        call.store.remember(key, Answer(asked, 200, json.dumps(answer)))
        return 200, answer

    return remembered


def _credit(call: Call) -> Json:
    form = call.form
    customer = call.must_find("Customer", form["CustomerRef"]["value"])
    total = sum(line["Amount"] for line in form["Line"])
    for line in form["Line"]:
        call.must_find("Item", line["SalesItemLineDetail"]["ItemRef"]["value"])
    if form["CurrencyRef"]["value"] != customer["CurrencyRef"]["value"]:
        raise Refusal(400, "6000", "A business validation error has occurred: currency")
    number = str(800 + call.store.next_number("CreditMemo"))
    memo = {**form, "Id": number, "SyncToken": "0", "DocNumber": f"CM-{number}", "TotalAmt": total}
    call.store.put("CreditMemo", number, memo)
    return memo


def _fresh(call: Call, kind: str) -> Json:
    found = call.store.get(kind, call.form["Id"])
    if found is None:
        raise Refusal(400, "610", "Object Not Found")
    if found["SyncToken"] != call.form["SyncToken"]:
        raise Refusal(400, "5010", "Stale Object Error: You and another were editing this.")
    return found


def _void(call: Call) -> Json:
    if call.query.get("operation") != "void":
        raise Refusal(400, "2010", "Request has invalid or unsupported property: operation")
    found = _fresh(call, "Invoice")
    return call.change(
        "Invoice", found["Id"], TotalAmt=0, Balance=0, PrivateNote="Voided", SyncToken=_next(found)
    )


def _update(call: Call) -> Json:
    found = _fresh(call, "Customer")
    changes = {name: value for name, value in call.form.items() if name not in {"Id", "sparse"}}
    return call.change("Customer", found["Id"], **{**changes, "SyncToken": _next(found)})


def _next(found: Json) -> str:
    return str(int(found["SyncToken"]) + 1)


_KEYED = ("requestid", "minorversion")


class QuickBooks(Vendor):
    name = "quickbooks"
    key_form = "^[0-9a-f]{50}$"
    routes: ClassVar[tuple[Route, ...]] = (
        Route("GET", "/customer/<name>", _read("Customer"), query=("minorversion",)),
        Route("GET", "/item/<name>", _read("Item"), query=("minorversion",)),
        Route("GET", "/invoice/<name>", _read("Invoice"), query=("minorversion",)),
        Route("GET", "/creditmemo/<name>", _read("CreditMemo"), query=("minorversion",)),
        Route("GET", "/query", _first, query=("query", "minorversion")),
        Route("POST", "/creditmemo", _once(_credit, "CreditMemo"), query=_KEYED, body=_MEMO),
        Route("POST", "/invoice", _once(_void, "Invoice"), query=("operation", *_KEYED),
              body=closed({"Id": TEXT, "SyncToken": TEXT})),
        Route("POST", "/customer", _once(_update, "Customer"), query=_KEYED, body=_SPARSE),
    )  # fmt: skip

    def furnish(self) -> None:
        dollars = {"value": "USD", "name": "United States Dollar"}
        customer = {"Id": "58", "SyncToken": "3", "DisplayName": "Lampenhaus Köln", "Active": True,
                    "CurrencyRef": dollars,
                    "PrimaryEmailAddr": {"Address": "old@lampenhaus.example"}}  # fmt: skip
        invoice = {"Id": "130", "SyncToken": "0", "DocNumber": "1037", "TotalAmt": 362.07,
                   "Balance": 362.07, "CurrencyRef": dollars,
                   "CustomerRef": {"value": "58", "name": "Lampenhaus Köln"}}  # fmt: skip
        self.put("Customer", "58", customer)
        self.put("Item", "3", {"Id": "3", "SyncToken": "0", "Name": "Goodwill"})
        self.put("Invoice", "130", invoice)

    def error(self, status: int, code: str, message: str) -> Json:
        said = {"Message": "An application error has occurred", "Detail": message, "code": code}
        return {"Fault": {"Error": [said], "type": "ValidationFault"}}


def _cheaper(double: QuickBooks, receipt: Receipt) -> None:
    double.change("CreditMemo", receipt.reference, TotalAmt=18)


def _set(kind: str, name: str, **values: Any) -> Any:
    return lambda double, receipt: double.change(kind, name, **values)


CASES = (
    Case(operation="credit_memo.issue", shows="Lampenhaus Köln", tampered=_cheaper,
         other_params={"amount": "18.00"}),
    Case(operation="invoice.void", shows="1037", tampered=_set("Invoice", "130", Balance=362.07),
         other_params={"invoice": "131"}),
    Case(operation="customer.update", shows="Lampenhaus Köln",
         tampered=_set("Customer", "58", PrimaryEmailAddr={"Address": "somebody@else.example"}),
         other_params={"value": "other@lampenhaus.example"}),
)  # fmt: skip
