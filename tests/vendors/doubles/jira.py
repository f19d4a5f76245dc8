"""Jira Cloud: issues in a small workflow, their properties and comments."""

from __future__ import annotations

from typing import Any, ClassVar

from connectors.declared.file import Scheme
from connectors.sandbox.store import Json
from connectors.sandbox.web import Refusal
from tests.vendors.cases import Case
from tests.vendors.double import TEXT, Call, Route, Said, Vendor, closed

_STATUSES = {"To Do": "1", "In Progress": "3", "Done": "10002"}
_WAYS = {  # by the status an issue has: the transitions there are
    "To Do": {"11": "In Progress"},
    "In Progress": {"31": "Done", "21": "To Do"},
    "Done": {"41": "In Progress"},
}
_PROPERTIES: Json = {"type": "array", "items": closed({"key": TEXT, "value": {"type": "object"}})}
_DOCUMENT = closed(
    {"type": {"enum": ["doc"]}, "version": {"enum": [1]}, "content": {"type": "array"}}
)
_TRANSITION = closed({"transition": closed({"id": TEXT})}, {"properties": _PROPERTIES})
_EDIT = closed(
    {},
    {
        "fields": closed({}, {"assignee": closed({"accountId": TEXT})}),
        "update": closed(
            {},
            {"comment": {"type": "array", "items": closed({"add": closed({"body": _DOCUMENT})})}},
        ),
        "properties": _PROPERTIES,
    },
)
MIA, TOM = "5b10ac8d82e05b22cc7d4ef5", "5b10a2844c20165700ede21g"


def _status(name: str) -> Json:
    return {"id": _STATUSES[name], "name": name}


def _person(call: Call, account: str) -> Json | None:
    return call.store.get("user", account) if account else None


def _issue(call: Call, issue: str) -> Said:
    found = call.must_find("issue", issue)
    every = {
        "summary": found["summary"],
        "status": _status(found["status"]),
        "assignee": _person(call, found["assignee"]),
        "issuetype": {"id": "10001", "name": "Task"},
        "priority": {"id": "3", "name": "Medium"},
    }
    wanted = call.query.get("fields", "*all").split(",")
    answer: Json = {
        "id": "10042",
        "key": issue,
        "fields": {
            name: value for name, value in every.items() if name in wanted or "*all" in wanted
        },
    }
    if call.query.get("expand") == "transitions":
        answer["transitions"] = [
            {"id": number, "name": f"To {to}", "to": _status(to), "isAvailable": True}
            for number, to in _WAYS[found["status"]].items()
        ]
    return 200, answer


def _mark(call: Call, issue: str) -> str:
    key = ""
    for one in call.form.get("properties", []):
        key = one["key"]
        call.store.put("property", f"{issue} {key}", one)
    return key


def _transition(call: Call, issue: str) -> Said:
    found = call.must_find("issue", issue)
    to = _WAYS[found["status"]].get(call.form["transition"]["id"])
    if to is None:
        raise Refusal(
            400,
            "",
            "It seems that the workflow operation is not valid for the current state.",
        )
    call.change("issue", issue, status=to)
    call.applied("issue.transition", issue, _mark(call, issue))
    return 204, None


def _edit(call: Call, issue: str) -> Said:
    call.must_find("issue", issue)
    if assignee := call.form.get("fields", {}).get("assignee"):
        if _person(call, assignee["accountId"]) is None:
            raise Refusal(400, "", "The assignee does not exist.")
        call.change("issue", issue, assignee=assignee["accountId"])
    for one in call.form.get("update", {}).get("comment", []):
        number = str(10_000 + call.store.next_number("comment"))
        comment = {
            "id": number,
            "body": one["add"]["body"],
            "created": "2026-11-22T10:00:00.000+0000",
        }
        call.store.put("comment", number, {"issue": issue, "comment": comment})
    call.applied("issue.edit", issue, _mark(call, issue))
    return 204, None


def _property(call: Call, issue: str, key: str) -> Said:
    return 200, call.must_find("property", f"{issue} {key}", "The property does not exist.")


def _comments(call: Call, issue: str) -> Said:
    mine = [one["comment"] for one in call.store.all("comment") if one["issue"] == issue]
    return 200, {"comments": mine, "startAt": 0, "maxResults": 100, "total": len(mine)}


def _user(call: Call) -> Said:
    return 200, call.must_find("user", call.query["accountId"])


def _myself(call: Call) -> Said:
    return 200, {
        "accountId": "5b10a0effa615349cb016cd8",
        "displayName": "Countersign",
        "active": True,
    }


class Jira(Vendor):
    name = "jira"
    credential = "agent@shop.example:jira-token-0123456789"
    scheme = Scheme.BASIC
    unspecified: ClassVar = {}
    routes = (
        Route("GET", "/rest/api/3/myself", _myself),
        Route("GET", "/rest/api/3/user", _user, query=("accountId",)),
        Route("GET", "/rest/api/3/issue/<issue>", _issue, query=("fields", "expand")),
        Route("PUT", "/rest/api/3/issue/<issue>", _edit, body=_EDIT),
        Route("POST", "/rest/api/3/issue/<issue>/transitions", _transition, body=_TRANSITION),
        Route("GET", "/rest/api/3/issue/<issue>/properties/<key>", _property),
        Route(
            "GET", "/rest/api/3/issue/<issue>/comment", _comments, query=("orderBy", "maxResults")
        ),
    )

    def furnish(self) -> None:
        for account, name in ((MIA, "Mia Krystof"), (TOM, "Tom Brandt")):
            self.put("user", account, {"accountId": account, "displayName": name, "active": True})
        self.put(
            "issue",
            "SHOP-42",
            {"summary": "Lamp arrived broken", "status": "In Progress", "assignee": TOM},
        )

    def error(self, status: int, code: str, message: str) -> Json:
        return {"errorMessages": [message], "errors": {}}


def _set(**values: Any) -> Any:
    return lambda double, receipt: double.change("issue", "SHOP-42", **values)


def _comment_gone(double: Jira, receipt: object) -> None:
    with double.store.transaction(double.name) as store:
        for one in store.all("comment"):
            store.put("comment", one["comment"]["id"], {**one, "issue": "SHOP-1"})


CASES = (
    Case(operation="issue.transition", shows="Lamp arrived broken", tampered=_set(status="To Do")),
    Case(operation="issue.assign", shows='to "Mia Krystof"', tampered=_set(assignee="")),
    Case(operation="issue.comment", shows="Lamp arrived broken", tampered=_comment_gone),
)  # fmt: skip
