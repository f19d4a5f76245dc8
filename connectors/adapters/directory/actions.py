"""What can be proposed to the directory."""

from __future__ import annotations

from datetime import date

from audit.canonical import JsonObject
from connectors.catalogue import ActionType, Reversibility, Verb
from connectors.schema import identifier, params_object
from connectors.wording import text

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
