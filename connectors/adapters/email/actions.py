"""What can be proposed to the mail system."""

from __future__ import annotations

from audit.lib.canonical import JsonObject
from connectors.catalogue import ActionType, AtMostOnce, Proof, Reversibility, Verb, quoted, text
from connectors.params import free_text, identifier, one_line, params_object

# Far narrower than RFC 5321 allows, and wide enough for addresses people have: no quoting, no
# comments, no lists, no address literals, ASCII only. What does not match cannot be misread.
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = f"[A-Za-z0-9_+-]+(?:[.][A-Za-z0-9_+-]+)*@(?:{_LABEL}[.])+[A-Za-z]{{2,63}}"


def _address_errors(params: JsonObject) -> dict[str, str]:
    local, _, _ = text(params, "to").partition("@")
    if len(local) > 64:
        return {"to": "The part before @ is longer than 64 characters."}
    return {}


_AT_MOST_ONCE = AtMostOnce(Proof.MARKED, can_look_up=True)  # the Message-ID, in the archive

EMAIL_SEND = ActionType(
    key="email.send",
    version=1,
    title="Send an e-mail",
    verb=Verb.SEND,
    system="email",
    reversibility=Reversibility.IRREVERSIBLE,
    schema=params_object(
        {
            "to": identifier(
                _ADDRESS, 'One e-mail address such as "ada@mail.example".', longest=254
            ),
            "subject": one_line("The subject, in one line.", longest=200),
            "body": free_text("The message, as plain text.", longest=20_000),
        }
    ),
    example={"to": "ada@mail.example", "subject": "Your order", "body": "It is on its way."},
    target=lambda params: f"mailbox {text(params, 'to')}",
    effect=lambda params: (
        f"Send an e-mail to {text(params, 'to')} "
        f"with the subject {quoted(text(params, 'subject'))}."
    ),
    undo="Cannot be undone: a sent e-mail cannot be called back. A correction can be sent.",
    at_most_once=_AT_MOST_ONCE,
    counterparty=lambda params: text(params, "to").lower(),
    protected=frozenset({"to"}),
    data_classes=frozenset({"personal"}),
    field_errors=_address_errors,
)

ACTION_TYPES = (EMAIL_SEND,)
