"""What can be proposed: every action type, with everything trusted that is derived from params."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from audit.canonical import JsonObject
from audit.money import Money


class Verb(StrEnum):
    """What an action does to its target."""

    READ = "read"
    DRAFT = "draft"
    SEND = "send"
    UPDATE = "update"
    DELETE = "delete"
    PAY = "pay"
    GRANT = "grant"
    EXECUTE = "execute"


class Reversibility(StrEnum):
    """How far an effect can be taken back; shown before anybody approves."""

    READ_ONLY = "read-only"
    REVERSIBLE = "reversible"
    EXTERNALLY_REVERSIBLE = "externally reversible"
    IRREVERSIBLE = "irreversible"


def _no_amount(params: JsonObject) -> Money | None:
    return None


def _no_counterparty(params: JsonObject) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionType:
    """A registered, versioned kind of action.

    The callables take validated params and are the only source of target, amount, counterparty
    and sentence: an agent cannot state them in a field of their own.
    """

    key: str  # "refund.issue"
    version: int
    title: str  # "Refund a charge"
    verb: Verb
    system: str  # "payments"; names the connector in `connectors.registry`
    reversibility: Reversibility
    schema: JsonObject  # JSON Schema 2020-12, additionalProperties false
    target: Callable[[JsonObject], str]  # "charge ch_1001"
    effect: Callable[[JsonObject], str]  # one plain sentence, from params only
    undo: str  # how it would be undone, or that it cannot be
    amount: Callable[[JsonObject], Money | None] = _no_amount
    """Raises audit.money.MoneyError when the params' amount is not money of its currency."""
    counterparty: Callable[[JsonObject], str] = _no_counterparty
    protected: frozenset[str] = frozenset()
    """Params whose edit restarts the quorum: payee, account, recipient, ..."""
    data_classes: frozenset[str] = frozenset()
    """"personal", "money", "secret", ..."""
    undo_type: str = ""
    """Key of the action type that undoes this one; empty when nothing does."""
    supervised: bool = False
    """A person starts it and watches; the executor never starts it by itself."""
    field_errors: Callable[[JsonObject], dict[str, str]] = field(default=lambda params: {})
    """Meaning checks the schema cannot express: param name -> sentence."""
