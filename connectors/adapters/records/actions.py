"""What can be proposed to the CRM and order records."""

from __future__ import annotations

from collections.abc import Mapping

from audit.lib.canonical import JsonObject
from connectors.catalogue import ActionType, AtMostOnce, Proof, Reversibility, Verb, quoted, text
from connectors.params import choice, free_text, identifier, one_line, params_object, whole_number

_ACCOUNT = identifier("acct_[A-Za-z0-9]{1,64}", 'An account id such as "acct_2001".')
_ORDER = identifier("ord_[A-Za-z0-9]{1,64}", 'An order id such as "ord_3001".')
_TICKET = identifier("tick_[A-Za-z0-9]{1,64}", 'A ticket id such as "tick_4001".')
_TAG = identifier("[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", 'A tag such as "vip".', longest=40)


def _fields(description: str, allowed: Mapping[str, JsonObject]) -> JsonObject:
    """Columns an agent may change, by name; any other column is refused."""
    return {
        "type": "object",
        "description": description,
        "properties": dict(allowed),
        "additionalProperties": False,
        "minProperties": 1,
    }


def changed_fields(params: JsonObject) -> JsonObject:
    """The new values by column."""
    fields = params["fields"]
    if not isinstance(fields, Mapping):
        raise TypeError("fields is not an object")
    return fields


def listed(params: JsonObject) -> str:
    """The new values by column, in words."""
    return ", ".join(
        f"{name} to {quoted(str(value), shown=60)}"
        for name, value in sorted(changed_fields(params).items())
    )


def _account(params: JsonObject) -> str:
    return f"account {text(params, 'record')}"


_ACCOUNT_COLUMNS: dict[str, JsonObject] = {
    "stage": choice(
        "The sales stage.",
        "lead",
        "qualified",
        "proposal",
        "negotiation",
        "won",
        "lost",
    ),
    "owner": identifier("[a-z][a-z0-9._-]{0,78}", 'A user such as "mia".'),
    "segment": choice("The segment.", "consumer", "loyal", "business"),
    "phone": identifier(
        "[+]?[0-9][0-9 ()/-]{3,38}", 'A number such as "+49 30 5550 1".', longest=40
    ),
    "notes": free_text("Notes, as plain text.", longest=2000, shortest=0),
}

_ORDER_COLUMNS: dict[str, JsonObject] = {
    "quantity": whole_number("How many, 1 to 999.", smallest=1, largest=999),
    "status": choice("The order's status.", "paid", "packed", "shipped", "on hold", "cancelled"),
    "address": one_line("The delivery address, in one line.", longest=300),
}


def _shown(columns: Mapping[str, JsonObject]) -> JsonObject:
    """Those of the columns that are changed, as they are and as they would be."""
    kinds: JsonObject = {name: {"type": column["type"]} for name, column in columns.items()}
    return {"type": "object", "properties": kinds, "additionalProperties": False}


_AT_MOST_ONCE = AtMostOnce(Proof.KEYED, can_look_up=True)  # in a table of ours, beside the change

CRM_UPDATE = ActionType(
    key="crm.update",
    version=1,
    title="Update a CRM record",
    verb=Verb.UPDATE,
    system="records",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object(
        {
            "record": _ACCOUNT,
            "fields": _fields(
                'The columns to change and their new values, such as {"stage": "won"}.',
                _ACCOUNT_COLUMNS,
            ),
        }
    ),
    example={"record": "acct_2001", "fields": {"stage": "won"}},
    target=_account,
    effect=lambda params: f"In {_account(params)}, set {listed(params)}.",
    undo="The earlier values can be set again (crm.update).",
    at_most_once=_AT_MOST_ONCE,
    protected=frozenset({"record"}),
    data_classes=frozenset({"personal"}),
    undo_type="crm.update",
    shown=_shown(_ACCOUNT_COLUMNS),
    offers={
        "type": "object",
        "properties": {
            "owner": {"type": "string", "description": "Who keeps the account, by user name."},
            "deal_minor": {"type": "integer", "description": "What its deal is worth, in cents."},
            "deal_currency": {"type": "string", "description": "In which currency."},
        },
        "required": ["owner"],
        "additionalProperties": False,
    },
)

ORDER_CORRECT = ActionType(
    key="order.correct",
    version=1,
    title="Correct an order",
    verb=Verb.UPDATE,
    system="records",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object(
        {
            "order": _ORDER,
            "fields": _fields(
                'The columns to change and their new values, such as {"quantity": 2}.',
                _ORDER_COLUMNS,
            ),
        }
    ),
    example={"order": "ord_4001", "fields": {"quantity": 2}},
    target=lambda params: f"order {text(params, 'order')}",
    effect=lambda params: f"In order {text(params, 'order')}, set {listed(params)}.",
    undo="The earlier values can be set again (order.correct).",
    at_most_once=_AT_MOST_ONCE,
    protected=frozenset({"order"}),
    data_classes=frozenset({"personal"}),
    undo_type="order.correct",
    shown=_shown(_ORDER_COLUMNS),
)

CRM_TAG = ActionType(
    key="crm.tag",
    version=1,
    title="Tag an account",
    verb=Verb.UPDATE,
    system="records",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object({"record": _ACCOUNT, "tag": _TAG}),
    example={"record": "acct_2001", "tag": "vip"},
    target=_account,
    effect=lambda params: f"Tag {_account(params)} as {quoted(text(params, 'tag'))}.",
    undo="The tag can be taken off again (crm.untag).",
    at_most_once=_AT_MOST_ONCE,
    protected=frozenset({"record"}),
    undo_type="crm.untag",
)

CRM_UNTAG = ActionType(
    key="crm.untag",
    version=1,
    title="Take a tag off an account",
    verb=Verb.UPDATE,
    system="records",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object({"record": _ACCOUNT, "tag": _TAG}),
    example={"record": "acct_2001", "tag": "vip"},
    target=_account,
    effect=lambda params: f"Take the tag {quoted(text(params, 'tag'))} off {_account(params)}.",
    undo="The account can be tagged again (crm.tag).",
    at_most_once=_AT_MOST_ONCE,
    protected=frozenset({"record"}),
    undo_type="crm.tag",
)

DRAFT_REPLY = ActionType(
    key="draft.reply",
    version=1,
    title="Draft a reply to a ticket",
    verb=Verb.DRAFT,
    system="records",
    reversibility=Reversibility.REVERSIBLE,
    schema=params_object(
        {
            "ticket": _TICKET,
            "body": free_text("The draft, as plain text.", longest=20_000),
        }
    ),
    example={"ticket": "tick_4001", "body": "We are looking into it."},
    target=lambda params: f"ticket {text(params, 'ticket')}",
    effect=lambda params: (
        f"Store a draft reply on ticket {text(params, 'ticket')}; nothing is sent."
    ),
    undo="The draft can be discarded (draft.discard); nobody outside has seen it.",
    at_most_once=_AT_MOST_ONCE,
    undo_type="draft.discard",
)

DRAFT_DISCARD = ActionType(
    key="draft.discard",
    version=1,
    title="Discard a draft",
    verb=Verb.DRAFT,
    system="records",
    reversibility=Reversibility.IRREVERSIBLE,
    schema=params_object({"draft": identifier("draft_[0-9a-f]{16}", "The id of a draft.")}),
    example={"draft": "draft_0123456789abcdef"},
    target=lambda params: f"draft {text(params, 'draft')}",
    effect=lambda params: f"Discard {text(params, 'draft')}; it was never sent.",
    undo="Cannot be undone, but the same reply can be drafted again.",
    at_most_once=_AT_MOST_ONCE,
)

ACTION_TYPES = (CRM_UPDATE, ORDER_CORRECT, CRM_TAG, CRM_UNTAG, DRAFT_REPLY, DRAFT_DISCARD)
