"""Zendesk Support: tickets with stamps and audits, and users."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from connectors.base import Receipt
from connectors.declared.file import Scheme
from connectors.sandbox.store import Json
from connectors.sandbox.web import Refusal
from tests.vendors.cases import Case
from tests.vendors.double import TEXT, Call, Route, Said, Vendor, closed

_TICKET_FIELDS: Json = {
    "status": {"enum": ["new", "open", "pending", "hold", "solved", "closed"]},
    "priority": {"enum": ["low", "normal", "high", "urgent"]},
    "type": {"enum": ["problem", "incident", "question", "task"]},
    "comment": closed({"body": TEXT}, {"public": {"type": "boolean"}}),
    "safe_update": {"type": "boolean"},
    "updated_stamp": TEXT,
    "metadata": {"type": "object"},
}
_CHANGE = closed({"ticket": closed({}, _TICKET_FIELDS)})
_NEW = closed(
    {
        "ticket": closed(
            {
                "subject": TEXT,
                "comment": closed({"body": TEXT}),
                "requester_id": {"type": "integer"},
            },
            {"external_id": TEXT},
        )
    }
)
_TAGS = closed(
    {"tags": {"type": "array", "items": TEXT}},
    {"updated_stamp": TEXT, "safe_update": {"enum": ["true", "false"]}},
)


def _ticket(call: Call, ticket: str) -> Said:
    return 200, {"ticket": call.must_find("ticket", ticket)}


def _safely(call: Call, found: Json, asked: Json) -> None:
    if (
        asked.get("safe_update") in (True, "true")
        and asked.get("updated_stamp") != found["updated_at"]
    ):
        raise Refusal(409, "UpdateConflict", "Safe Update prevented the update: it has changed.")
    if found["status"] == "closed":
        raise Refusal(422, "RecordInvalid", "Status: closed prevents ticket update")


def _stamp(call: Call) -> str:
    number = call.store.next_number("second")
    return f"2026-11-22T{10 + number // 3600}:{number // 60 % 60:02}:{number % 60:02}Z"


def _change(call: Call, ticket: str) -> Said:
    found, asked = call.must_find("ticket", ticket), call.form["ticket"]
    _safely(call, found, asked)
    changes = {name: asked[name] for name in ("status", "priority", "type") if name in asked}
    found = call.change("ticket", ticket, **changes, updated_at=_stamp(call))
    number = call.applied("ticket.update", ticket)
    audit = {
        "id": 9_000_000 + int(number),
        "ticket_id": found["id"],
        "created_at": found["updated_at"],
        "author_id": 11,
        "metadata": {"system": {}, "custom": asked.get("metadata", {})},
        "events": [],
    }
    call.store.put("audit", f"{ticket}-{number}", audit)
    return 200, {"ticket": found, "audit": audit}


def _audits(call: Call, ticket: str) -> Said:
    call.must_find("ticket", ticket)
    mine = [one for one in reversed(call.store.all("audit")) if str(one["ticket_id"]) == ticket]
    return 200, {"audits": mine[:100], "next_page": None, "previous_page": None, "count": len(mine)}


def _tag(call: Call, ticket: str) -> Said:
    return _retag(call, ticket, lambda tags: [*dict.fromkeys([*tags, *call.form["tags"]])])


def _untag(call: Call, ticket: str) -> Said:
    return _retag(call, ticket, lambda tags: [t for t in tags if t not in call.form["tags"]])


def _retag(call: Call, ticket: str, change: Any) -> Said:
    found = call.must_find("ticket", ticket)
    _safely(call, found, call.form)
    tags = change(found["tags"])
    call.change("ticket", ticket, tags=tags, updated_at=_stamp(call))
    call.applied("ticket.tags", ticket)
    return 200, {"tags": tags}


def _create(call: Call) -> Said:
    key = call.headers.get("idempotency-key", "")
    asked = hashlib.sha256(repr(call.form).encode()).hexdigest()
    known = call.store.get("key", key) if key else None
    if known is not None:
        if known["asked"] != asked:
            raise Refusal(
                400, "IdempotentRequestError", "Request parameters differ from those of the key."
            )
        return 201, known["answer"], {"x-idempotency-lookup": "hit"}
    new = call.form["ticket"]
    call.must_find("user", str(new["requester_id"]))
    number = 40_000 + call.store.next_number("ticket")
    ticket = {
        **_furnished(number, new["subject"], _stamp(call)),
        "status": "new",
        "requester_id": new["requester_id"],
        "description": new["comment"]["body"],
        "external_id": new.get("external_id"),
    }
    call.store.put("ticket", str(number), ticket)
    call.applied("ticket.create", str(number))
    answer = {"ticket": ticket}
    if key:
        call.store.put("key", key, {"asked": asked, "answer": answer})
    return 201, answer, {"x-idempotency-lookup": "miss", "Location": f"/api/v2/tickets/{number}"}


def _list(call: Call) -> Said:
    wanted = call.query.get("external_id")
    found = [one for one in call.store.all("ticket") if one["external_id"] == wanted]
    return 200, {"tickets": found}


def _user(call: Call, user: str) -> Said:
    return 200, {"user": call.must_find("user", user)}


def _me(call: Call) -> Said:
    return 200, {"user": {"id": 11, "name": "Countersign", "email": "agent@shop.example"}}


def _furnished(number: int, subject: str, stamp: str) -> Json:
    return {
        "id": number,
        "external_id": None,
        "subject": subject,
        "description": "It does not light.",
        "status": "open",
        "priority": "normal",
        "type": "problem",
        "tags": ["lamp"],
        "requester_id": 20978392,
        "created_at": "2026-11-20T09:00:00Z",
        "updated_at": stamp,
    }


class Zendesk(Vendor):
    name = "zendesk"
    credential = "agent@shop.example/token:zendesk-token-0123456789"
    scheme = Scheme.BASIC
    key_form = "^[ -~]{1,255}$"
    unspecified: ClassVar = {
        "audit": "Update Ticket, example of the response",
        "metadata": "Tickets, JSON format: write only, shows up in the audit",
        "safe_update": "Tickets, Protecting against ticket update collisions",
        "updated_stamp": "Tickets, Protecting against ticket update collisions",
        "external_id": "List Tickets, by external id",
    }
    routes = (
        Route("GET", "/api/v2/users/me", _me),
        Route("GET", "/api/v2/users/<user>", _user),
        Route("GET", "/api/v2/tickets", _list, query=("external_id",)),
        Route("POST", "/api/v2/tickets", _create, headers=("Idempotency-Key",), body=_NEW),
        Route("GET", "/api/v2/tickets/<ticket>", _ticket),
        Route("PUT", "/api/v2/tickets/<ticket>", _change, body=_CHANGE),
        Route("GET", "/api/v2/tickets/<ticket>/audits", _audits),
        Route("PUT", "/api/v2/tickets/<ticket>/tags", _tag, body=_TAGS),
        Route("DELETE", "/api/v2/tickets/<ticket>/tags", _untag, body=_TAGS),
    )

    def furnish(self) -> None:
        self.put(
            "ticket", "35436", _furnished(35436, "Lamp arrived broken", "2026-11-22T10:00:00Z")
        )
        self.put(
            "user",
            "20978392",
            {"id": 20978392, "name": "Zoë Kamińska", "email": "zoe@mail.example"},
        )

    def error(self, status: int, code: str, message: str) -> Json:
        return {"error": code, "description": message}


def _somebody(double: Zendesk, receipt: Receipt | None) -> None:
    double.change("ticket", "35436", subject="Two lamps", updated_at="2026-11-22T12:00:00Z")


def _set(**values: Any) -> Any:
    return lambda double, receipt: double.change("ticket", "35436", **values)


CASES = (
    Case(operation="ticket.update", shows="Lamp arrived broken", moved=_somebody,
         tampered=_set(priority="low")),
    Case(operation="ticket.solve", shows="Zoë Kamińska", moved=_somebody,
         tampered=_set(status="open")),
    Case(operation="ticket.tag", shows="Lamp arrived broken", moved=_somebody,
         tampered=_set(tags=[])),
    Case(operation="ticket.untag", shows="Lamp arrived broken", moved=_somebody,
         tampered=_set(tags=["lamp"])),
    Case(operation="ticket.create", shows="Zoë Kamińska", other_params={"subject": "Another lamp"},
         tampered=lambda double, receipt: double.change("ticket", receipt.reference, subject="X")),
)  # fmt: skip
