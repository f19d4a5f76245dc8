"""HubSpot CRM: deals, tickets, companies, notes and pipelines."""

from __future__ import annotations

from typing import Any

from connectors.base import Receipt
from connectors.sandbox.store import Json
from connectors.sandbox.web import Refusal
from tests.vendors.cases import Case
from tests.vendors.double import TEXT, Call, Route, Said, Vendor, closed

_VERSION = "2026-03"
_AT = "2026-11-22T09:00:00.000Z"
_ASSOCIATION = closed(
    {
        "to": closed({"id": TEXT}),
        "types": {
            "type": "array",
            "items": closed(
                {
                    "associationCategory": {"enum": ["HUBSPOT_DEFINED"]},
                    "associationTypeId": {"type": "integer"},
                }
            ),
        },
    }
)
_READ = ("properties", "associations", "idProperty")


def _changes(*names: str) -> Json:
    """Values are strings, whatever the property is."""
    return closed({"properties": closed({}, dict.fromkeys(names, TEXT))})


def _record(kind: str) -> Any:
    def read(call: Call, number: str) -> Said:
        found = call.must_find(kind, number)
        wanted = call.query.get("properties", "").split(",")
        answer: Json = {
            "id": number,
            "archived": False,
            "createdAt": _AT,
            "updatedAt": _AT,
            "properties": {name: found["properties"].get(name) for name in wanted if name},
        }
        if "associations" in call.query and found["companies"]:
            results = [{"id": one, "type": "deal_to_company"} for one in found["companies"]]
            answer["associations"] = {"companies": {"results": results}}
        return 200, answer

    return read


def _update(kind: str) -> Any:
    def update(call: Call, number: str) -> Said:
        found = call.must_find(kind, number)
        properties = {**found["properties"], **call.form["properties"]}
        call.change(kind, number, properties=properties)
        call.applied(f"{kind}.update", number)
        answer = {"id": number, "archived": False, "createdAt": _AT, "updatedAt": _AT}
        return 200, {**answer, "properties": properties}

    return update


def _pipeline(call: Call, kind: str, pipeline: str) -> Said:
    return 200, call.must_find("pipeline", f"{kind} {pipeline}")


def _pipelines(call: Call, kind: str) -> Said:
    return 200, {"results": call.store.all("pipeline")}


def _note(call: Call) -> Said:
    key = call.form["properties"]["countersign_key"]
    if any(one["properties"]["countersign_key"] == key for one in call.store.all("note")):
        message = f"Property values were not valid: countersign_key {key} already has that value."
        raise Refusal(400, "VALIDATION_ERROR", message)
    for one in call.form["associations"]:
        call.must_find("deal", one["to"]["id"])
    number = str(7_000_000 + call.store.next_number("note"))
    call.store.put("note", number, {"properties": call.form["properties"], "companies": []})
    call.applied("note.create", number, key)
    answer = {"id": number, "archived": False, "createdAt": _AT, "updatedAt": _AT}
    return 201, {**answer, "properties": call.form["properties"]}


def _read_note(call: Call, number: str) -> Said:
    if call.query.get("idProperty") == "countersign_key":
        notes = call.store.all("note")
        key, number = number, "0"
        for one in notes:
            if one["properties"]["countersign_key"] == key:
                return 200, {
                    "id": call.store.effect_of(key)["target"],  # type: ignore[index]
                    "archived": False,
                    "createdAt": _AT,
                    "updatedAt": _AT,
                    "properties": one["properties"],
                }
    answer: Said = _record("note")(call, number)
    return answer


def _stages(*stages: tuple[str, str, Json]) -> list[Json]:
    return [
        {"id": key, "label": label, "displayOrder": order, "metadata": metadata,
         "archived": False, "createdAt": _AT, "updatedAt": _AT}
        for order, (key, label, metadata) in enumerate(stages)
    ]  # fmt: skip


class HubSpot(Vendor):
    name = "hubspot"
    routes = (
        Route("GET", f"/crm/objects/{_VERSION}/0-3/<number>", _record("deal"), query=_READ),
        Route(
            "PATCH",
            f"/crm/objects/{_VERSION}/0-3/<number>",
            _update("deal"),
            body=_changes("dealstage"),
        ),
        Route(
            "GET", f"/crm/objects/{_VERSION}/companies/<number>", _record("company"), query=_READ
        ),
        Route("GET", f"/crm/objects/{_VERSION}/tickets/<number>", _record("ticket"), query=_READ),
        Route(
            "PATCH",
            f"/crm/objects/{_VERSION}/tickets/<number>",
            _update("ticket"),
            body=_changes("hs_pipeline_stage"),
        ),
        Route("GET", f"/crm/objects/{_VERSION}/notes/<number>", _read_note, query=_READ),
        Route(
            "POST",
            f"/crm/objects/{_VERSION}/notes",
            _note,
            body=closed(
                {
                    "properties": closed(
                        {"hs_note_body": TEXT, "hs_timestamp": TEXT, "countersign_key": TEXT}
                    ),
                    "associations": {"type": "array", "items": _ASSOCIATION},
                }
            ),
        ),
        Route("GET", f"/crm/pipelines/{_VERSION}/<kind>", _pipelines),
        Route("GET", f"/crm/pipelines/{_VERSION}/<kind>/<pipeline>", _pipeline),
    )

    def furnish(self) -> None:
        self._record(
            "deal",
            "8812345678",
            ["9912345678"],
            dealname="Lamps for Hotel Łódź",
            dealstage="contractsent",
            pipeline="default",
            amount="12500.00",
            closedate="2026-11-30T00:00:00Z",
        )
        self._record("company", "9912345678", [], name="Hotel Łódź", domain="hotel.example")
        self._record(
            "ticket",
            "5512345678",
            [],
            subject="Lamp arrived broken",
            hs_pipeline="0",
            hs_pipeline_stage="1",
            content="It does not light.",
            hs_ticket_priority="HIGH",
        )
        shared = {"displayOrder": 0, "archived": False, "createdAt": _AT, "updatedAt": _AT}
        deals = _stages(
            ("contractsent", "Contract sent", {"isClosed": "false", "probability": "0.9"}),
            ("closedwon", "Closed won", {"isClosed": "true", "probability": "1.0"}),
        )
        self.put(
            "pipeline",
            "deals default",
            {"id": "default", "label": "Sales", "stages": deals, **shared},
        )
        tickets = _stages(
            ("1", "New", {"ticketState": "OPEN"}), ("4", "Closed", {"ticketState": "CLOSED"})
        )
        self.put(
            "pipeline", "tickets 0", {"id": "0", "label": "Support", "stages": tickets, **shared}
        )

    def _record(
        self, kind: str, number: str, companies: list[str], **properties: str | None
    ) -> None:
        self.put(kind, number, {"properties": properties, "companies": companies})

    def error(self, status: int, code: str, message: str) -> Json:
        return {
            "status": "error",
            "message": message,
            "category": code.upper() or "VALIDATION_ERROR",
            "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
        }


def _set(kind: str, number: str, **properties: str) -> Any:
    def change(double: HubSpot, receipt: Receipt | None) -> None:
        found = double.object(kind, number)["properties"]
        double.change(kind, number, properties={**found, **properties})

    return change


def _note_edited(double: HubSpot, receipt: Receipt | None) -> None:
    assert receipt is not None
    _set("note", receipt.reference, hs_note_body="Somebody's own words.")(double, receipt)


def _survives(double: HubSpot, receipt: Receipt) -> Any:
    _note_edited(double, receipt)
    return lambda: double.object("note", receipt.reference)["properties"][
        "hs_note_body"
    ].startswith("Some")


def _closed(double: HubSpot) -> None:
    _set("ticket", "5512345678", hs_pipeline_stage="4")(double, None)


CASES = (
    Case(operation="deal.stage", shows="\"Hotel Łódź\"",
         tampered=_set("deal", "8812345678", dealstage="contractsent")),
    Case(operation="ticket.close", shows="Lamp arrived broken",
         tampered=_set("ticket", "5512345678", hs_pipeline_stage="1")),
    Case(operation="ticket.reopen", shows="Lamp arrived broken", prepared=_closed,
         tampered=_set("ticket", "5512345678", hs_pipeline_stage="4")),
    Case(operation="note.create", shows="Lamps for Hotel Łódź", tampered=_note_edited,
         survives=_survives),
)  # fmt: skip
