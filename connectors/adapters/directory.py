"""Access rights in a directory that speaks SCIM 2.0 (RFC 7644).

RFC 7644 has no notion of a membership that ends, nor of a change's own id; both are in a schema
extension, as section 3.3 of RFC 7643 provides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date

from audit.lib.canonical import JsonObject, JsonValue
from connectors.adapters.json_http import EvidenceRead, Exchange, HttpSystem
from connectors.base import Action, Receipt, cannot_undo
from connectors.catalogue import ActionType, Reversibility, Verb, text
from connectors.http import UnreadableAnswer
from connectors.params import identifier, params_object

_USER = identifier(
    "[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,78}[A-Za-z0-9])?", 'A user name such as "mia.keller".'
)
_GROUP = identifier(
    "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9])?", 'A group id such as "crm-editors".'
)


def _date_errors(params: JsonObject) -> dict[str, str]:
    try:
        date.fromisoformat(text(params, "until"))
    except ValueError:
        return {"until": 'Not a day of the calendar; write it as in "2026-12-31".'}
    return {}


def _target(params: JsonObject) -> str:
    return f"group {text(params, 'group')}"


def _user(params: JsonObject) -> str:
    return text(params, "user")


ACCESS_GRANT = ActionType(
    key="access.grant",
    version=1,
    title="Grant access",
    verb=Verb.GRANT,
    system="directory",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object(
        {
            "user": _USER,
            "group": _GROUP,
            "until": identifier(
                "[0-9]{4}-[0-9]{2}-[0-9]{2}",
                'The last day of access, such as "2026-12-31".',
                longest=10,
            ),
        }
    ),
    target=_target,
    effect=lambda params: (
        f"Give {_user(params)} the rights of group {text(params, 'group')} "
        f"until {text(params, 'until')}."
    ),
    undo="The user can be taken out of the group again (access.revoke).",
    counterparty=_user,
    protected=frozenset({"user", "group"}),
    undo_type="access.revoke",
    field_errors=_date_errors,
)

ACCESS_REVOKE = ActionType(
    key="access.revoke",
    version=1,
    title="Revoke access",
    verb=Verb.GRANT,
    system="directory",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object({"user": _USER, "group": _GROUP}),
    target=_target,
    effect=lambda params: f"Take {_user(params)} out of group {text(params, 'group')}.",
    undo="The user can be put into the group again, if the access had an end (access.grant).",
    counterparty=_user,
    protected=frozenset({"user", "group"}),
    undo_type="access.grant",
)

ACTION_TYPES = (ACCESS_GRANT, ACCESS_REVOKE)


PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
CHANGE = "urn:retailer:params:scim:schemas:extension:change:2.0"
_GROUP_PATH = "/scim/v2/Groups/{group}"
_EVIDENCE = (EvidenceRead("source_record", "User {user}", "/scim/v2/Users/{user}"),)


def _membership(group: JsonObject, params: JsonObject) -> JsonObject:
    members = group.get("members")
    if not isinstance(members, list):
        raise UnreadableAnswer("The group lists no members.")
    for member in members:
        if isinstance(member, Mapping) and member.get("value") == params["user"]:
            return {"member": True, "until": member.get("until", "")}
    return {"member": False, "until": ""}


def _patch(operation: Mapping[str, JsonValue]) -> JsonObject:
    return {"schemas": [PATCH_OP], "Operations": [operation]}


def _add(params: JsonObject) -> JsonObject:
    member = {"value": params["user"], "until": params["until"]}
    return _patch({"op": "add", "path": "members", "value": [member]})


def _remove(params: JsonObject) -> JsonObject:
    # JSON's quoting is SCIM's filter quoting (RFC 7644, section 3.4.2.2).
    return _patch({"op": "remove", "path": f"members[value eq {json.dumps(params['user'])}]"})


def _change(answer: JsonObject) -> tuple[str, JsonObject]:
    change = answer.get(CHANGE)
    if isinstance(change, Mapping):
        reference, previous = change.get("id"), change.get("previous")
        if isinstance(reference, str) and reference and isinstance(previous, Mapping):
            return reference, previous
    raise UnreadableAnswer("The answer names no change.")


def _grant_again(params: JsonObject, receipt: Receipt) -> Action:
    until = receipt.pre_image.get("until")
    if not until:
        raise cannot_undo(
            "The access that was there had no end; propose a new grant with an end date."
        )
    return Action(
        "access.grant", {"user": params["user"], "group": params["group"], "until": until}
    )


def _undo_grant(params: JsonObject, receipt: Receipt) -> Action:
    if receipt.pre_image.get("member"):
        return _grant_again(params, receipt)
    return Action("access.revoke", {"user": params["user"], "group": params["group"]})


def _undo_revoke(params: JsonObject, receipt: Receipt) -> Action:
    if not receipt.pre_image.get("member"):
        raise cannot_undo("The user was not in the group before; there is nothing to give back.")
    return _grant_again(params, receipt)


SYSTEM = HttpSystem(
    system="directory",
    lookup_path="/scim/v2/Changes",
    key_window_seconds=24 * 3600,
    exchanges={
        "access.grant": Exchange(
            method="PATCH",
            path=_GROUP_PATH,
            body=_add,
            read_path=_GROUP_PATH,
            state=_membership,
            wanted=lambda params: {"member": True, "until": params["until"]},
            undo=_undo_grant,
            summary=lambda params: (
                f"{text(params, 'user')} is in {text(params, 'group')} "
                f"until {text(params, 'until')}."
            ),
            receipt=_change,
            evidence=_EVIDENCE,
        ),
        "access.revoke": Exchange(
            method="PATCH",
            path=_GROUP_PATH,
            body=_remove,
            read_path=_GROUP_PATH,
            state=_membership,
            wanted=lambda params: {"member": False, "until": ""},
            undo=_undo_revoke,
            summary=lambda params: f"{text(params, 'user')} is not in {text(params, 'group')}.",
            receipt=_change,
            evidence=_EVIDENCE,
        ),
    },
)
