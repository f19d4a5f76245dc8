"""What can be proposed: every action type, with everything trusted that is derived from params."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from audit.lib.canonical import JsonObject
from audit.lib.money import Money


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


class CarriedOutBy(StrEnum):
    """Who makes the effect once it is approved."""

    CONNECTOR = "connector"
    """A worker of ours, with a credential the agent never has."""
    AGENT = "agent"
    """The agent itself, under a grant it redeems once: what it reports is its word."""
    MCP = "mcp"
    """A worker of ours, by calling a tool of another MCP server: what it answers is its word."""


class Proof(StrEnum):
    """How an operation is kept at most once, by what its target does."""

    KEYED = "keyed"
    """The target remembers our key: a repeat inside its window is the same answer."""
    NAMED = "named"
    """We choose the new thing's unique name: a second one is refused."""
    GUARDED = "guarded"
    """The write carries the approved version: the target refuses it once that has moved."""
    MARKED = "marked"
    """The write leaves our mark where a consistent read finds it."""
    SETTLED = "settled"
    """The same state again changes nothing, as long as nobody took it back meanwhile."""
    NONE = "none"
    """Nothing of that: what became of a lost call, a person finds out."""


@dataclass(frozen=True, slots=True)
class AtMostOnce:
    """An operation's proof, and what of it the executor may rely on."""

    proof: Proof
    window: timedelta | None = None
    """How long a keyed target remembers a key; None: for good."""
    can_look_up: bool = False
    """A consistent read by key, name or mark shows whether a call had its effect."""

    @property
    def may_repeat(self) -> bool:
        """The same call with the same key has no second effect (inside the window).

        Guarded alone it is never repeated: the refusal of a second write cannot tell our first
        one from a stranger's. With a mark it can.
        """
        return self.proof in (Proof.KEYED, Proof.NAMED) or (
            self.proof is Proof.GUARDED and self.can_look_up
        )


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
    at_most_once: AtMostOnce
    settles_after: timedelta = timedelta(0)
    """How long the target takes to show an effect: not read back before."""
    amount: Callable[[JsonObject], Money | None] = _no_amount
    """Raises audit.lib.money.MoneyError when the params' amount is not money of its currency."""
    left_in: str = ""
    """The field of a preview's `before` that says how much money there is left ("443.00 EUR"): an
    amount above it is what the target refuses, and up to it what a reviewer may offer instead."""
    counterparty: Callable[[JsonObject], str] = _no_counterparty
    protected: frozenset[str] = frozenset()
    """Params that say who or what is meant (payee, account, recipient): an edit of one is marked on
    the form and named in the trail. Every edit, of whatever param, restarts the quorum."""
    data_classes: frozenset[str] = frozenset()
    """"personal", "money", "secret", ..."""
    undo_type: str = ""
    """Key of the action type that undoes this one; empty when nothing does."""
    shown: JsonObject = field(default_factory=dict)
    """JSON Schema of a preview's `before` and `after`, for rules to be checked against; empty: what
    the target shows is not known in advance."""
    offers: JsonObject = field(default_factory=dict)
    """The same of the facts the operation itself declares."""
    definition: str = ""
    """Digest of the file that declares it; empty for what is declared in Python, whose `version`
    says when it changed."""
    supervised: bool = False
    """A person starts it and watches; the executor never starts it by itself."""
    field_errors: Callable[[JsonObject], dict[str, str]] = field(default=lambda params: {})
    """Meaning checks the schema cannot express: param name -> sentence."""
    example: JsonObject = field(default_factory=dict)
    """Acceptable params, for the documentation; empty: none is given."""
    execution: CarriedOutBy = CarriedOutBy.CONNECTOR
    lease: timedelta = timedelta(0)
    """How long an agent that carries it out itself has for its report."""
    is_read_back: bool = True
    """Whether the effect is read back; else it ends as done by somebody's word, never verified."""

    @property
    def by_agent(self) -> bool:
        """Whether the agent carries it out itself, on a grant: no worker of ours ever does."""
        return self.execution is CarriedOutBy.AGENT

    @property
    def by_word(self) -> bool:
        """Whether somebody's word is all there is of a failure: part of it may have been done."""
        return self.execution is not CarriedOutBy.CONNECTOR


MASK = "***"
MASKED_CLASSES = frozenset({"secret", "credential"})
"""Classes of data that are taken in and never told again; their schema says `writeOnly`."""


def masked(schema: JsonObject, params: JsonObject) -> JsonObject:
    """The params with `MASK` in the place of every value whose schema is `writeOnly`."""
    found: JsonObject = _masked(schema, params)
    return found


def _masked(schema: Any, value: Any) -> Any:
    if not isinstance(schema, dict):
        return value
    if schema.get("writeOnly"):
        return MASK
    if isinstance(value, dict):
        inner = schema.get("properties", {})
        other = schema.get("additionalProperties")
        return {name: _masked(inner.get(name, other), item) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(schema.get("items"), item) for item in value]
    return value


_SHOWN = 160
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})


def text(params: JsonObject, name: str) -> str:
    """The string under that name, "" when absent; raises TypeError for anything else."""
    value = params.get(name, "")
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a string")
    return value


def quoted(value: str, shown: int = _SHOWN) -> str:
    """Agent-written text in quotes: newlines collapsed, invisible characters by code point.

    Double quotes inside become single ones, so the text cannot close its own quotation and go on
    in our voice.
    """
    line = " ".join(value.split()).replace('"', "'").replace("\u201c", "'").replace("\u201d", "'")
    line = "".join(_visible(character) for character in line)
    return f'"{line}"' if len(line) <= shown else f'"{line[:shown].rstrip()}..."'


def _visible(character: str) -> str:
    if unicodedata.category(character) in _HIDDEN_CATEGORIES:
        return f"<U+{ord(character):04X}>"
    return character
