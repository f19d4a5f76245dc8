"""The smaller HTTP systems of the sandbox: directory (SCIM), changes, logistics."""

from __future__ import annotations

import re
from collections.abc import Mapping

from connectors.sandbox import world
from connectors.sandbox.store import Json, Store
from connectors.sandbox.web import Call, Refusal, View, WebSystem

_CHANGE = "urn:retailer:params:scim:schemas:extension:change:2.0"
_REMOVE = re.compile(r'\Amembers\[value eq "([A-Za-z0-9._@-]+)"\]\Z', re.ASCII)


class _Changing(WebSystem):
    """A system whose writes are changes: an id, the state before, a list to look them up."""

    changes_path = "/changes"

    def __init__(self, store: Store, token: str, routes: Mapping[tuple[str, str], View]) -> None:
        super().__init__(store, token, {("GET", self.changes_path): _changes, **routes})
        self.furnish()

    def furnish(self) -> None:
        with self.store.transaction(self.name) as transaction:
            if transaction.get("furnished", "yes") is None:
                for kind, body in self.furniture():
                    transaction.put(kind, body["id"], body)
                transaction.put("furnished", "yes", {})

    def furniture(self) -> list[tuple[str, Json]]:
        raise NotImplementedError


class Directory(_Changing):
    """Users and groups, in SCIM's shape (RFC 7643, RFC 7644)."""

    name = "directory"
    changes_path = "/scim/v2/Changes"

    def __init__(self, store: Store, token: str) -> None:
        super().__init__(
            store,
            token,
            {
                ("GET", "/scim/v2/Users/<user>"): _read_user,
                ("GET", "/scim/v2/Groups/<group>"): _read_group,
                ("PATCH", "/scim/v2/Groups/<group>"): _patch_group,
            },
        )

    def error(self, status: int, code: str, message: str) -> Json:
        return {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": str(status),
            "scimType": code,
            "detail": message,
        }

    def furniture(self) -> list[tuple[str, Json]]:
        users: list[tuple[str, Json]] = [("user", dict(user)) for user in world.USERS]
        return users + [("group", {**group, "members": []}) for group in world.GROUPS]


class Changes(_Changing):
    """Configuration of production services."""

    name = "changes"

    def __init__(self, store: Store, token: str) -> None:
        super().__init__(
            store,
            token,
            {
                ("GET", "/services/<service>"): _read_service,
                ("GET", "/services/<service>/config/<key>"): _read_setting,
                ("PUT", "/services/<service>/config/<key>"): _change_setting,
            },
        )

    def furniture(self) -> list[tuple[str, Json]]:
        return [
            ("service", {"id": service, "config": dict(config)})
            for service, config in world.CONFIGURATION.items()
        ]


class Logistics(_Changing):
    """Shipments and robots."""

    name = "logistics"

    def __init__(self, store: Store, token: str) -> None:
        super().__init__(
            store,
            token,
            {
                ("GET", "/shipments/<shipment>"): _read_shipment,
                ("POST", "/shipments/<shipment>/reroute"): _reroute,
                ("POST", "/shipments/<shipment>/status"): _report,
                ("GET", "/robots/<robot>"): _read_robot,
                ("POST", "/robots/<robot>/runs"): _run_robot,
                ("GET", "/runs/<run>"): _read_run,
            },
        )

    def furniture(self) -> list[tuple[str, Json]]:
        shipments: list[tuple[str, Json]] = [("shipment", dict(item)) for item in world.SHIPMENTS]
        return shipments + [("robot", {**robot, "task": ""}) for robot in world.ROBOTS]


def _changes(call: Call) -> tuple[int, Json]:
    effect = call.store.effect_of(call.query.get("idempotency_key", ""))
    return 200, {"changes": [effect["detail"]["answer"]] if effect else []}


def _read_user(call: Call, user: str) -> tuple[int, Json]:
    found = _must_find(call, "user", user)
    return 200, {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": found["id"],
        "userName": found["id"],
        "displayName": found["display_name"],
        "active": found["active"],
    }


def _read_group(call: Call, group: str) -> tuple[int, Json]:
    return 200, _group(_must_find(call, "group", group))


def _patch_group(call: Call, group: str) -> tuple[int, Json]:
    found = _must_find(call, "group", group)
    operation = _only_operation(call.form)
    members = {member["value"]: member for member in found["members"]}
    if operation.get("op") == "add" and operation.get("path") == "members":
        (wanted,) = operation["value"]
        user = _must_find(call, "user", wanted["value"])
        if not user["active"]:
            raise Refusal(400, "invalidValue", f"User {user['id']} is not active.")
        previous = members.get(user["id"])
        members[user["id"]] = {"value": user["id"], "until": wanted.get("until", "")}
        kind = "access.grant"
    elif operation.get("op") == "remove" and (
        match := _REMOVE.match(str(operation.get("path", "")))
    ):
        user = _must_find(call, "user", match[1])
        previous = members.pop(user["id"], None)
        kind = "access.revoke"
    else:
        raise Refusal(400, "invalidSyntax", "Only adding and removing members is supported.")
    found["members"] = list(members.values())
    call.store.put("group", group, found)
    change = {
        "id": f"chg_{call.store.next_number('change'):06d}",
        "user": user["id"],
        "previous": {
            "member": previous is not None,
            "until": previous["until"] if previous else "",
        },
    }
    answer = {**_group(found), _CHANGE: change}
    detail = {"answer": answer, "user": user["id"]}
    call.store.applied(change["id"], kind, f"group {group}", key=call.key, detail=detail)
    return 200, answer


def _only_operation(form: Json) -> Json:
    operations = form.get("Operations")
    if not isinstance(operations, list) or len(operations) != 1:
        raise Refusal(400, "invalidSyntax", "Exactly one operation is expected.")
    return dict(operations[0])


def _group(found: Json) -> Json:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "id": found["id"],
        "displayName": found["display_name"],
        "members": found["members"],
    }


def _read_service(call: Call, service: str) -> tuple[int, Json]:
    return 200, _must_find(call, "service", service)


def _read_setting(call: Call, service: str, key: str) -> tuple[int, Json]:
    config = _must_find(call, "service", service)["config"]
    if key not in config:
        raise Refusal(404, "not_found", f"Service {service} has no setting {key}.")
    return 200, {"service": service, "key": key, "value": config[key]}


def _change_setting(call: Call, service: str, key: str) -> tuple[int, Json]:
    _, setting = _read_setting(call, service, key)
    if not isinstance(call.form.get("value"), str):
        raise Refusal(422, "invalid", "value must be text.")
    found = _must_find(call, "service", service)
    found["config"][key] = call.form["value"]
    call.store.put("service", service, found)
    previous = {"value": setting["value"]}
    return _applied(call, "chg", "config.change", f"setting {key} of {service}", previous)


def _read_shipment(call: Call, shipment: str) -> tuple[int, Json]:
    return 200, _must_find(call, "shipment", shipment)


def _reroute(call: Call, shipment: str) -> tuple[int, Json]:
    found = _must_find(call, "shipment", shipment)
    if call.form.get("depot") not in world.DEPOTS:
        raise Refusal(422, "unknown_depot", f"Depots are: {', '.join(world.DEPOTS)}.")
    previous = {"depot": found["depot"]}
    call.store.put("shipment", shipment, {**found, "depot": call.form["depot"]})
    return _applied(call, "rrt", "shipment.reroute", f"shipment {shipment}", previous)


def _report(call: Call, shipment: str) -> tuple[int, Json]:
    found = _must_find(call, "shipment", shipment)
    if call.form.get("status") not in world.SHIPMENT_STATES:
        states = ", ".join(world.SHIPMENT_STATES)
        raise Refusal(422, "unknown_status", f"Shipments are: {states}.")
    previous = {"status": found["status"]}
    call.store.put("shipment", shipment, {**found, "status": call.form["status"]})
    return _applied(call, "sts", "shipment.report", f"shipment {shipment}", previous)


def _read_robot(call: Call, robot: str) -> tuple[int, Json]:
    return 200, _must_find(call, "robot", robot)


def _run_robot(call: Call, robot: str) -> tuple[int, Json]:
    found = _must_find(call, "robot", robot)
    if found["status"] != "idle":
        raise Refusal(409, "robot_not_idle", f"{robot} is in {found['status']}.")
    task, zone = call.form.get("task", ""), call.form.get("zone", "")
    status, answer = _applied(call, "run", "robot.run", f"robot {robot}", {})
    run = {"id": answer["id"], "robot": robot, "task": task, "zone": zone, "status": "finished"}
    call.store.put("run", answer["id"], run)
    return status, answer


def _read_run(call: Call, run: str) -> tuple[int, Json]:
    return 200, _must_find(call, "run", run)


def _applied(call: Call, prefix: str, kind: str, target: str, previous: Json) -> tuple[int, Json]:
    """Count the change and answer with its id and what it replaced."""
    change_id = f"{prefix}_{call.store.next_number(prefix):06d}"
    answer = {"id": change_id, "previous": previous}
    detail = {"answer": answer, **call.form}
    call.store.applied(change_id, kind, target, key=call.key, detail=detail)
    return 200, answer


def _must_find(call: Call, kind: str, object_id: str) -> Json:
    found = call.store.get(kind, object_id)
    if found is None:
        raise Refusal(404, "not_found", f"There is no {kind} {object_id}.")
    return found
