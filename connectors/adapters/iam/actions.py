"""What can be proposed to AWS IAM."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from audit.lib.canonical import JsonObject
from connectors.catalogue import ActionType, AtMostOnce, Proof, Reversibility, Verb, text
from connectors.params import identifier, params_object

_USER = identifier("[A-Za-z0-9+=,.@_-]{1,64}", 'An IAM user, such as "mia.keller".', longest=64)
_GROUP = identifier("[A-Za-z0-9+=,.@_-]{1,128}", 'An IAM group, such as "readers".', longest=128)
_POLICY = identifier(
    "arn:aws[a-z-]{0,10}:iam::(?:aws|[0-9]{12}):policy/[A-Za-z0-9+=,.@_/-]{1,200}",
    "A managed policy's ARN that this connection lists.",
    longest=260,
)
_KEY = identifier("[A-Z0-9]{16,32}", "An access key's id, never its secret.", longest=32)
_SETTLES_AFTER = timedelta(seconds=10)  # IAM is eventually consistent, usually by seconds


@dataclass(frozen=True, slots=True)
class Words:
    """How one pair of opposite actions is said."""

    title: str
    effect: str
    undo: str


def _kind(
    key: str, opposite: str, verb: Verb, params: JsonObject, target: str, words: Words, state: str
) -> ActionType:
    names = frozenset(str(name) for name in params)

    def filled(pattern: str, values: JsonObject) -> str:
        return pattern.format(**{name: text(values, name) for name in names})

    return ActionType(
        key=key,
        version=1,
        title=words.title,
        verb=verb,
        system="iam",
        reversibility=Reversibility.REVERSIBLE,
        schema=params_object(params),  # type: ignore[arg-type]  # each is a schema
        target=lambda values: filled(target, values),
        effect=lambda values: filled(words.effect, values),
        undo=words.undo,
        at_most_once=AtMostOnce(Proof.SETTLED),
        settles_after=_SETTLES_AFTER,
        counterparty=lambda values: text(values, "user"),
        protected=names,
        undo_type=opposite,
        shown={
            "type": "object",
            "properties": {state: {"type": "boolean"}},
            "additionalProperties": False,
        },
    )


_MEMBER: JsonObject = {"user": _USER, "group": _GROUP}
_ATTACHED: JsonObject = {"user": _USER, "policy": _POLICY}
_ACCESS_KEY: JsonObject = {"user": _USER, "key": _KEY}

GROUP_ADD = _kind(
    "iam_group.add", "iam_group.remove", Verb.GRANT, _MEMBER, "group {group}",
    Words(
        "Add a user to a group",
        "Add {user} to group {group} of AWS IAM.",
        "The user can be taken out again (iam_group.remove); what was seen meanwhile was seen.",
    ),
    "member",
)  # fmt: skip
GROUP_REMOVE = _kind(
    "iam_group.remove", "iam_group.add", Verb.GRANT, _MEMBER, "group {group}",
    Words(
        "Take a user out of a group",
        "Take {user} out of group {group} of AWS IAM.",
        "The user can be put into the group again (iam_group.add).",
    ),
    "member",
)  # fmt: skip
POLICY_ATTACH = _kind(
    "iam_policy.attach", "iam_policy.detach", Verb.GRANT, _ATTACHED, "user {user}",
    Words(
        "Attach a policy to a user",
        "Give {user} what the policy {policy} allows.",
        "The policy can be detached again (iam_policy.detach); what was done meanwhile was done.",
    ),
    "attached",
)  # fmt: skip
POLICY_DETACH = _kind(
    "iam_policy.detach", "iam_policy.attach", Verb.GRANT, _ATTACHED, "user {user}",
    Words(
        "Detach a policy from a user",
        "Take what the policy {policy} allows from {user}.",
        "The policy can be attached again (iam_policy.attach).",
    ),
    "attached",
)  # fmt: skip
KEY_DEACTIVATE = _kind(
    "iam_key.deactivate", "iam_key.activate", Verb.UPDATE, _ACCESS_KEY, "access key {key}",
    Words(
        "Deactivate an access key",
        "Deactivate the access key {key} of {user}; programs that use it stop working.",
        "The key can be activated again (iam_key.activate); what failed meanwhile failed.",
    ),
    "active",
)  # fmt: skip
KEY_ACTIVATE = _kind(
    "iam_key.activate", "iam_key.deactivate", Verb.GRANT, _ACCESS_KEY, "access key {key}",
    Words(
        "Activate an access key",
        "Activate the access key {key} of {user}; whoever has it can use it.",
        "The key can be deactivated again (iam_key.deactivate); what was done was done.",
    ),
    "active",
)  # fmt: skip
ACTION_TYPES = (
    GROUP_ADD, GROUP_REMOVE, POLICY_ATTACH, POLICY_DETACH, KEY_DEACTIVATE, KEY_ACTIVATE,
)  # fmt: skip
