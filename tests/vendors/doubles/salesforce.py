"""Salesforce: opportunities, cases and tasks of one org, with dates of whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, ClassVar

from connectors.base import Receipt
from connectors.sandbox.store import Json
from connectors.sandbox.web import Refusal
from tests.vendors.cases import Case
from tests.vendors.double import TEXT, Call, Route, Said, Vendor, closed

OPPORTUNITY, ACCOUNT = "0065g00000K3pQhAAJ", "0015g00001B2cDeAAJ"
CASE, CONTACT = "5005g00000Q7mXyAAJ", "0035g00000L9kTzAAJ"
_AT = "/services/data/v62.0"
_STAGES = ["Prospecting", "Negotiation", "Closed Won", "Closed Lost"]
_STATUSES = ["New", "Working", "Closed"]
_FIELDS = {
    "Opportunity": {"Name", "StageName", "Amount", "CloseDate", "IsClosed", "AccountId",
                    "LastModifiedDate", "Countersign_Key__c"},
    "Case": {"CaseNumber", "Subject", "Status", "IsClosed", "ContactId", "LastModifiedDate",
             "Countersign_Key__c"},
    "Task": {"Subject", "ActivityDate", "WhatId", "Countersign_Key__c"},
    "Account": {"Name"},
    "Contact": {"Name"},
}  # fmt: skip


def _read(call: Call, kind: str, name: str) -> Said:
    found = call.store.get(kind, name)
    if kind not in _FIELDS or found is None:
        raise Refusal(404, "NOT_FOUND", "The requested resource does not exist")
    asked = call.query.get("fields", "").split(",")
    for field in asked:
        if field not in _FIELDS[kind]:
            raise Refusal(400, "INVALID_FIELD", f"No such column '{field}' on entity '{kind}'")
    url = f"{_AT}/sobjects/{kind}/{name}"
    values = {field: found.get(field) for field in asked}
    return 200, {"attributes": {"type": kind, "url": url}, **values, "Id": name}


def _moved(call: Call, found: Json) -> bool:
    """Weak validation: both sides as dates of whole seconds."""
    given = call.headers.get("if-unmodified-since")
    if given is None:
        return False
    try:
        until = parsedate_to_datetime(given)
    except ValueError:
        raise Refusal(400, "INVALID_HEADER", "If-Unmodified-Since is no HTTP date") from None
    if format_datetime(until, usegmt=True) != given:
        raise Refusal(400, "INVALID_HEADER", "If-Unmodified-Since is no HTTP date")
    return datetime.strptime(found["LastModifiedDate"], "%Y-%m-%dT%H:%M:%S.000%z") > until


def _change(call: Call, kind: str, name: str) -> Said:
    found = call.store.get(kind, name)
    if found is None:
        raise Refusal(404, "NOT_FOUND", "The requested resource does not exist")
    if _moved(call, found):
        raise Refusal(412, "PRECONDITION_FAILED", "The record has been modified since.")
    values = dict(call.form)
    if kind == "Opportunity":
        values["IsClosed"] = values["StageName"].startswith("Closed")
    else:
        values["IsClosed"] = values["Status"] == "Closed"
    seconds = timedelta(seconds=call.store.next_number("second"))
    now = datetime(2026, 11, 22, 10, tzinfo=UTC) + seconds
    values["LastModifiedDate"] = now.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    call.change(kind, name, **values)
    call.applied(kind, name, key=call.form["Countersign_Key__c"])
    return 204, None


def _opportunity(call: Call, name: str) -> Said:
    return _change(call, "Opportunity", name)


def _case(call: Call, name: str) -> Said:
    if call.headers.get("sforce-auto-assign") != "FALSE":
        raise Refusal(400, "INVALID_HEADER", "The case would be assigned anew.")
    return _change(call, "Case", name)


def _task(call: Call) -> Said:
    name = f"00T5g00000{call.store.next_number('task'):05}AAJ"
    call.store.put("Task", name, {**call.form})
    call.applied("Task", name, key=call.form["Countersign_Key__c"])
    return 201, {"id": name, "success": True, "errors": []}


def _query(call: Call) -> Said:
    words = call.query["q"].split("'")
    frame = "SELECT Id FROM Task WHERE WhatId=|{}| AND Countersign_Key__c=|{}|"
    if len(words) != 5 or call.query["q"].replace("'", "|") != frame.format(words[1], words[3]):
        raise Refusal(400, "MALFORMED_QUERY", "unexpected token")
    found = [
        {"attributes": {"type": "Task"}, "Id": effect_id}
        for effect_id in _tasks(call, words[1], words[3])
    ]
    return 200, {"totalSize": len(found), "done": True, "records": found}


def _tasks(call: Call, about: str, key: str) -> list[str]:
    effect = call.store.effect_of(key)
    task = call.store.get("Task", effect["target"]) if effect else None
    return [effect["target"]] if effect and task and task["WhatId"] == about else []


class Salesforce(Vendor):
    name = "salesforce"
    routes: ClassVar[tuple[Route, ...]] = (
        Route("GET", f"{_AT}/sobjects/<kind>/<name>", _read, query=("fields",)),
        Route("GET", f"{_AT}/limits", lambda call: (200, {"DailyApiRequests": {"Max": 15000}})),
        Route("GET", f"{_AT}/query", _query, query=("q",)),
        Route("PATCH", f"{_AT}/sobjects/Opportunity/<name>", _opportunity,
              headers=("if-unmodified-since",),
              body=closed({"StageName": {"enum": _STAGES}, "Countersign_Key__c": TEXT})),
        Route("PATCH", f"{_AT}/sobjects/Case/<name>", _case,
              headers=("if-unmodified-since", "sforce-auto-assign"),
              body=closed({"Status": {"enum": _STATUSES}, "Countersign_Key__c": TEXT})),
        Route("POST", f"{_AT}/sobjects/Task", _task,
              body=closed({"WhatId": TEXT, "Subject": TEXT,
                           "ActivityDate": {"type": "string", "pattern": "^[0-9-]{10}$"},
                           "Countersign_Key__c": TEXT})),
    )  # fmt: skip

    def furnish(self) -> None:
        since = {"LastModifiedDate": "2026-11-20T09:30:12.000+0000", "Countersign_Key__c": None}
        self.put("Account", ACCOUNT, {"Name": "Lampenhaus Köln"})
        self.put("Contact", CONTACT, {"Name": "Zoë Kamińska"})
        opportunity = {
            "Name": "400 lamps",
            "StageName": "Negotiation",
            "Amount": 18250.5,
            "CloseDate": "2026-12-31",
            "IsClosed": False,
            "AccountId": ACCOUNT,
        }
        case = {"CaseNumber": "00001026", "Subject": "Lamp arrived broken", "Status": "Working",
                "IsClosed": False, "ContactId": CONTACT}  # fmt: skip
        self.put("Opportunity", OPPORTUNITY, {**opportunity, **since})
        self.put("Case", CASE, {**case, **since})

    def error(self, status: int, code: str, message: str) -> Any:
        return [{"errorCode": code, "message": message}]


def _set(kind: str, name: str, **values: Any) -> Any:
    return lambda double, receipt: double.change(kind, name, **values)


def _task_of(double: Salesforce, receipt: Receipt) -> None:
    double.change("Task", receipt.reference, Subject="Something else")


def _closed_before(double: Salesforce) -> None:
    double.change("Case", CASE, Status="Closed", IsClosed=True)


_LATER = {"LastModifiedDate": "2026-11-22T09:59:59.000+0000"}
CASES = (
    Case(operation="opportunity.stage", shows="Lampenhaus Köln",
         moved=_set("Opportunity", OPPORTUNITY, Amount=1, **_LATER),
         tampered=_set("Opportunity", OPPORTUNITY, StageName="Prospecting")),
    Case(operation="case.close", shows="Zoë Kamińska", moved=_set("Case", CASE, **_LATER),
         tampered=_set("Case", CASE, Status="New")),
    Case(operation="case.reopen", shows="Lamp arrived broken", prepared=_closed_before,
         moved=_set("Case", CASE, **_LATER), tampered=_set("Case", CASE, Status="New")),
    Case(operation="task.create", shows="400 lamps", tampered=_task_of),
)  # fmt: skip
