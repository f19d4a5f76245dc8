"""What can be proposed to a directory that speaks LDAP."""

from __future__ import annotations

from audit.lib.canonical import JsonObject
from connectors.catalogue import ActionType, AtMostOnce, Proof, Reversibility, Verb, quoted, text
from connectors.params import identifier, one_line, params_object

_USER = identifier(
    "[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,78}[A-Za-z0-9])?",
    'A user\'s name in the directory (uid), such as "mia.keller".',
)
_GROUP = one_line("A group's name in the directory (cn), as it stands there.", longest=120)
_GUARDED = AtMostOnce(Proof.GUARDED)  # the assertion control on entryCSN (RFC 4528)


def _group(params: JsonObject) -> str:
    return f"group {quoted(text(params, 'group'))}"


def _user(params: JsonObject) -> str:
    return text(params, "user")


_MEMBER: JsonObject = {
    "type": "object",
    "properties": {"member": {"type": "boolean"}},
    "additionalProperties": False,
}
_DISABLED: JsonObject = {
    "type": "object",
    "properties": {"disabled": {"type": "boolean"}},
    "additionalProperties": False,
}

GROUP_ADD = ActionType(
    key="ldap_group.add",
    version=1,
    title="Add somebody to a group",
    verb=Verb.GRANT,
    system="ldap",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object({"user": _USER, "group": _GROUP}),
    example={"user": "mia.keller", "group": "crm-editors"},
    target=_group,
    effect=lambda params: f"Add {_user(params)} to {_group(params)}.",
    undo=("The user can be taken out again (ldap_group.remove); what was seen meanwhile was seen."),
    at_most_once=_GUARDED,
    counterparty=_user,
    protected=frozenset({"user", "group"}),
    undo_type="ldap_group.remove",
    shown=_MEMBER,
)

GROUP_REMOVE = ActionType(
    key="ldap_group.remove",
    version=1,
    title="Take somebody out of a group",
    verb=Verb.GRANT,
    system="ldap",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object({"user": _USER, "group": _GROUP}),
    example={"user": "mia.keller", "group": "crm-editors"},
    target=_group,
    effect=lambda params: f"Take {_user(params)} out of {_group(params)}.",
    undo="The user can be put into the group again (ldap_group.add).",
    at_most_once=_GUARDED,
    counterparty=_user,
    protected=frozenset({"user", "group"}),
    undo_type="ldap_group.add",
    shown=_MEMBER,
)

USER_DISABLE = ActionType(
    key="ldap_user.disable",
    version=1,
    title="Disable a user",
    verb=Verb.UPDATE,
    system="ldap",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object({"user": _USER}),
    example={"user": "mia.keller"},
    target=lambda params: f"user {_user(params)}",
    effect=lambda params: f"Disable {_user(params)}; nobody can sign in as this user then.",
    undo="The user can be enabled again (ldap_user.enable); sessions that ended stay ended.",
    at_most_once=_GUARDED,
    counterparty=_user,
    protected=frozenset({"user"}),
    undo_type="ldap_user.enable",
    shown=_DISABLED,
)

USER_ENABLE = ActionType(
    key="ldap_user.enable",
    version=1,
    title="Enable a user",
    verb=Verb.GRANT,
    system="ldap",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object({"user": _USER}),
    example={"user": "mia.keller"},
    target=lambda params: f"user {_user(params)}",
    effect=lambda params: f"Enable {_user(params)}; whoever knows the password can sign in then.",
    undo="The user can be disabled again (ldap_user.disable); what was done meanwhile was done.",
    at_most_once=_GUARDED,
    counterparty=_user,
    protected=frozenset({"user"}),
    undo_type="ldap_user.disable",
    shown=_DISABLED,
)

ACTION_TYPES = (GROUP_ADD, GROUP_REMOVE, USER_DISABLE, USER_ENABLE)
