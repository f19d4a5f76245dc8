"""The helpdesk's double: a small ticketing API over HTTP that keeps a book of what it applied."""

from __future__ import annotations

from pathlib import Path

from werkzeug.wrappers import Request, Response

from connectors.sandbox.store import Json, Store
from connectors.sandbox.web import Call, Refusal
from tests.vendors.double import Double

FOLDER = str(Path(__file__).parent / "systems")
TEXT = (Path(FOLDER) / "helpdesk.yaml").read_text()
TOKEN = "helpdesk-token-0123456789"


class Helpdesk(Double):
    """Tickets with versions, notes, comments, tags; a status page."""

    name = "helpdesk"

    def __init__(self, store: Store) -> None:
        self.busy_for = 0  # seconds, told to every write
        super().__init__(
            store,
            TOKEN,
            {
                ("GET", "/tickets/<ticket>"): _read,
                ("PATCH", "/tickets/<ticket>"): _change,
                ("POST", "/tickets/<ticket>/notes"): _note,
                ("POST", "/tickets/<ticket>/comments"): _comment,
                ("PUT", "/tickets/<ticket>/tags/<tag>"): _tag,
                ("POST", "/tickets"): _open,
                ("GET", "/names"): _names,
                ("GET", "/named/<name>"): _named,
                ("GET", "/changes"): _changes,
                ("GET", "/status"): _status,
                ("POST", "/status"): _announce,
            },
        )
        self.furnish()

    def furnish(self) -> None:
        with self.store.transaction(self.name) as store:
            for number, priority in ((1, "normal"), (2, "urgent"), (3, "low")):
                ticket = {
                    "id": f"T-{number}",
                    "subject": "Lamp arrived broken",
                    "status": "archived" if number == 3 else "open",
                    "priority": priority,
                    "version": "1",
                    "notes": "",
                    "comment": "",
                    "tags": [],
                }
                store.put("ticket", ticket["id"], ticket)
            store.put("page", "status", {"text": "All is well."})

    def _serve(self, request: Request) -> Response:
        if request.method != "GET" and self.busy_for:
            said = {"Retry-After": str(self.busy_for)}
            return Response("{}", status=503, headers=said, mimetype="application/json")
        return super()._serve(request)

    def change_ticket(self, ticket: str, **values: object) -> None:
        """As if somebody else had; its version moves on."""
        version = str(int(self.object("ticket", ticket)["version"]) + 1)
        self.change("ticket", ticket, **values, version=version)


def _must_find(call: Call, ticket: str) -> Json:
    found = call.store.get("ticket", ticket)
    if found is None:
        raise Refusal(404, "not_found", f"There is no ticket {ticket}.")
    return found


def _read(call: Call, ticket: str) -> tuple[int, Json]:
    return 200, _must_find(call, ticket)


def _applied(call: Call, kind: str, target: str) -> tuple[int, Json]:
    change = {"change": f"chg-{call.store.next_number('change')}"}
    detail = {**call.form, "answer": change}
    key = call.form.get("mark") or call.key or change["change"]
    call.store.applied(change["change"], kind, target, key=str(key), detail=detail)
    return 200, change


def _change(call: Call, ticket: str) -> tuple[int, Json]:
    found = _must_find(call, ticket)
    if call.headers.get("If-Match", found["version"]) != found["version"]:
        raise Refusal(412, "moved", f"Ticket {ticket} has changed meanwhile.")
    status, version = call.form["status"], str(int(found["version"]) + 1)
    call.store.put("ticket", ticket, {**found, "status": status, "version": version})
    return _applied(call, f"ticket.{status}", ticket)


def _note(call: Call, ticket: str) -> tuple[int, Json]:
    found = _must_find(call, ticket)
    call.store.put("ticket", ticket, {**found, "notes": call.form["text"]})
    return _applied(call, "ticket.note", ticket)


def _comment(call: Call, ticket: str) -> tuple[int, Json]:
    found = _must_find(call, ticket)
    call.store.put("ticket", ticket, {**found, "comment": call.form["text"]})
    return _applied(call, "ticket.comment", ticket)


def _tag(call: Call, ticket: str, tag: str) -> tuple[int, Json]:
    found = _must_find(call, ticket)
    if tag in found["tags"]:
        raise Refusal(409, "tagged", "It has that tag.")
    call.store.put("ticket", ticket, {**found, "tags": [*found["tags"], tag]})
    return _applied(call, "ticket.tag", ticket)


def _open(call: Call) -> tuple[int, Json]:
    name = call.form["name"]
    if call.store.get("name", name) is not None:
        raise Refusal(409, "exists", f"There is a ticket {name} already.")
    status, change = _applied(call, "ticket.open", name)
    call.store.put("name", name, {"name": name, "subject": call.form.get("subject"), **change})
    return status, change


def _names(call: Call) -> tuple[int, Json]:
    return 200, {"names": [one["name"] for one in call.store.all("name")]}


def _named(call: Call, name: str) -> tuple[int, Json]:
    found = call.store.get("name", name)
    if found is None:
        raise Refusal(404, "not_found", "There is none of that name.")
    return 200, found


def _changes(call: Call) -> tuple[int, Json]:
    effect = call.store.effect_of(call.query.get("mark", ""))
    return 200, {"changes": [effect["detail"]["answer"]] if effect else []}


def _status(call: Call) -> tuple[int, Json]:
    return 200, call.store.get("page", "status") or {}


def _announce(call: Call) -> tuple[int, Json]:
    call.store.put("page", "status", {"text": call.form["text"]})
    return _applied(call, "ticket.announce", "status page")
