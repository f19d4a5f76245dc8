"""Reading one operation of a system: its action type, and how it is done on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypedDict

from audit.lib.canonical import JsonObject, digest_of
from audit.lib.money import Money
from audit.lib.yaml_reader import Fields, Reader
from connectors.catalogue import ActionType, AtMostOnce, Proof, Reversibility, Verb
from connectors.declared import lint
from connectors.declared.expressions import Kind, Language, NoValue, Template, Values
from connectors.declared.file import (
    Card,
    EvidenceRead,
    LookUp,
    OfferedFact,
    Operation,
    Read,
    Refusal,
    UndoWay,
    VerifyRead,
    Write,
)
from connectors.declared.params import closed, read_params, read_shown
from connectors.declared.reading import (
    IN_PARAMS,
    IN_PREVIEW,
    IN_READ,
    IN_UNDO,
    IN_WRITE,
    IN_WRITTEN,
    NO_TEXT,
    Computed,
    check_action_key,
    one_of,
    plain,
    texts,
    word,
)
from connectors.params import validate_params

LONGEST_NAME = 200
"""Characters that the name of a target or a counterparty may have."""

_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_FACT_KINDS = ("string", "integer", "number", "boolean")
_NEEDED = ("title", "version", "verb", "reversibility", "params", "target", "effect", "read",
           "after", "write", "at_most_once", "undo")  # fmt: skip
_OPTIONAL = ("optional", "protected", "counterparty", "amount", "currency", "supervised",
             "settles_after_seconds", "verify", "facts", "example")  # fmt: skip


def read_operation(key: str, reader: Reader, card: Card, shared: JsonObject) -> Operation:
    """The operation; `shared` is what else of the file it depends on, for its digest."""
    check_action_key(key, reader)
    keys = reader.fields(_NEEDED, _OPTIONAL)
    params = keys.read("params", read_params, None)
    optional = frozenset(keys.read("optional", texts, ()))
    properties = params.properties if params else {}
    required = [name for name in properties if name not in optional]
    wire = _Wire(Computed(Language(properties, required)))
    promise, look_up = keys.read("at_most_once", wire.at_most_once, _NOTHING_PROMISED)
    undo, ways = keys.read("undo", wire.undo, ("", ()))
    facts = keys.read("facts", wire.facts, ())
    for name in ("optional", "protected"):
        lint.names_params(keys, name, properties)
    action_type = ActionType(
        key=key,
        version=keys.read("version", lambda item: item.whole(low=1, high=9_999), 1),
        title=keys.read("title", Reader.text, ""),
        verb=keys.read("verb", one_of(Verb), Verb.EXECUTE),
        system=card.system,
        reversibility=keys.read("reversibility", one_of(Reversibility), Reversibility.IRREVERSIBLE),
        schema=closed(properties, optional),
        undo=undo,
        undo_type=next((way.action for way in ways if way.action), ""),
        at_most_once=promise,
        left_in="",
        settles_after=timedelta(seconds=keys.read("settles_after_seconds", _seconds, 0)),
        protected=frozenset(keys.read("protected", texts, ())),
        data_classes=params.data_classes if params else frozenset(),
        shown=read_shown(keys),
        offers=_offers(facts),
        supervised=keys.read("supervised", Reader.flag, False),
        definition=digest_of({**shared, "operation": plain(reader.node)}),
        example={},  # checked against the rest below
        **derived(wire.computed, keys, reader),
    )
    example = read_example(keys, action_type)
    operation = Operation(
        type=replace(action_type, example=example or {}),
        read=keys.read("read", wire.read, wire.nothing_read),
        after=wire.computed.needed(keys, "after", Kind.OBJECT, IN_PARAMS),
        write=keys.read("write", wire.write, wire.nothing_written),
        verify=keys.read("verify", wire.verify, None),
        look_up=look_up,
        undo=ways,
        facts=facts,
        example=example,
    )
    lint.operation(operation, keys)
    return operation


_NOTHING_PROMISED: tuple[AtMostOnce, LookUp | None] = (AtMostOnce(Proof.NONE), None)


def read_example(keys: Fields, action_type: ActionType) -> JsonObject | None:
    """The params given as an example, which must be acceptable."""
    if "example" not in keys:
        return None
    value: Any = keys["example"].value()
    for error in validate_params(action_type, value):
        keys["example"].problem(f"{error.path}: {error.message}")
    return value if isinstance(value, dict) else {}


def _offers(facts: tuple[OfferedFact, ...]) -> JsonObject:
    """The facts as a schema, for rules to be checked against; {} for none."""
    if not facts:
        return {}
    return closed({one.name: {"type": one.kind, "description": one.meaning} for one in facts})


class Derived(TypedDict):
    """What an action type derives from params: fields of `ActionType`."""

    target: Callable[[JsonObject], str]
    effect: Callable[[JsonObject], str]
    counterparty: Callable[[JsonObject], str]
    amount: Callable[[JsonObject], Money | None]
    field_errors: Callable[[JsonObject], dict[str, str]]


def derived(computed: Computed, keys: Fields, reader: Reader) -> Derived:
    """What an action type derives from params, each a function of them."""
    target, effect = (computed.text(keys, name, IN_PARAMS) for name in ("target", "effect"))
    party = computed.read(keys, "counterparty", Kind.TEXT, IN_PARAMS)
    amount = computed.read(keys, "amount", Kind.ANY, IN_PARAMS)
    currency = computed.read(keys, "currency", Kind.TEXT, IN_PARAMS)
    if (amount is None) != (currency is None):
        reader.problem("'amount' and 'currency' go together.")

    def money(params: JsonObject) -> Money | None:
        values = Values(params)
        found = amount.of(values) if amount and currency else None
        return Money.parse(found, currency.of(values)) if found and currency else None

    def counterparty(params: JsonObject) -> str:
        return str(party.of(Values(params))) if party else ""

    def errors(params: JsonObject) -> dict[str, str]:
        values = Values(params)
        try:
            effect.sentence(values)
            lengths = {"target": target.sentence(values), "counterparty": counterparty(params)}
        except NoValue as error:
            return {next(iter(params), "params"): f"This cannot be described ({error})."}
        for what, text in lengths.items():
            if len(text) > LONGEST_NAME:
                said = f"Together too long: the {what} would have over {LONGEST_NAME} letters."
                return {next(iter(params), "params"): said}
        return {}

    return {
        "target": lambda params: target.sentence(Values(params)),
        "effect": lambda params: effect.sentence(Values(params)),
        "counterparty": counterparty,
        "amount": money,
        "field_errors": errors,
    }


class _Wire:
    """Reads the parts of one operation, in the language of its params."""

    def __init__(self, computed: Computed) -> None:
        self.computed = computed

    @property
    def nothing_read(self) -> Read:
        return Read(NO_TEXT, self.computed.nothing)

    @property
    def nothing_written(self) -> Write:
        return Write("POST", NO_TEXT, (), None, self.computed.nothing, None, NO_TEXT)

    def read(self, reader: Reader) -> Read:
        computed = self.computed
        keys = reader.fields(
            ("path", "before"), ("guard", "shows", "evidence", "refusals", "sentence")
        )
        return Read(
            path=computed.path(keys, IN_PARAMS),
            before=computed.needed(keys, "before", Kind.OBJECT, IN_READ),
            guard=computed.read(keys, "guard", Kind.TEXT, IN_PREVIEW),
            evidence=keys.read("evidence", lambda item: item.each(self._evidence), ()),
            refusals=keys.read("refusals", lambda item: item.each(self._refusal), ()),
            sentence=computed.text(keys, "sentence", IN_PREVIEW) if "sentence" in keys else None,
        )

    def _evidence(self, reader: Reader) -> EvidenceRead:
        """`when` and `path` are over the target, `title` over the record itself."""
        keys = reader.fields(("kind", "title", "path"), ("name", "when"))
        return EvidenceRead(
            kind=keys.read("kind", word, ""),
            title=self.computed.text(keys, "title", ("params", "body", "records")),
            path=self.computed.path(keys, ("params", "body", "records")),
            name=keys.read("name", word, ""),
            when=self.computed.read(keys, "when", Kind.TRUTH, IN_PREVIEW),
        )

    def _refusal(self, reader: Reader) -> Refusal:
        keys = reader.fields(("when", "says"))
        when = self.computed.needed(keys, "when", Kind.TRUTH, IN_PREVIEW)
        return Refusal(when, self.computed.text(keys, "says", IN_PREVIEW))

    def write(self, reader: Reader) -> Write:
        computed = self.computed
        keys = reader.fields(
            ("method", "path", "reference", "summary"), ("headers", "body", "previous", "answers")
        )
        return Write(
            method=keys.read("method", lambda item: item.one_of(_METHODS, what="a write"), ""),
            path=computed.path(keys, IN_WRITE),
            headers=keys.read("headers", self._headers, ()),
            body=computed.read(keys, "body", Kind.ANY, IN_WRITE),
            reference=computed.needed(keys, "reference", Kind.TEXT, IN_WRITTEN),
            previous=computed.read(keys, "previous", Kind.OBJECT, IN_WRITTEN),
            summary=computed.text(keys, "summary", IN_PARAMS),
            answers=keys.read("answers", computed.answer_rules, ()),
        )

    def _headers(self, reader: Reader) -> tuple[tuple[str, Template], ...]:
        return tuple(
            (name, self.computed.template(IN_WRITE, item))
            for name, item in reader.entries().items()
        )

    def verify(self, reader: Reader) -> VerifyRead:
        keys = reader.fields(("path", "state"))
        path = self.computed.path(keys, ("params", "reference"))
        return VerifyRead(path, self.computed.needed(keys, "state", Kind.OBJECT, IN_READ))

    def at_most_once(self, reader: Reader) -> tuple[AtMostOnce, LookUp | None]:
        keys = reader.fields(("proof",), ("window", "look_up"))
        proof = keys.read("proof", one_of(Proof), Proof.NONE)
        look_up = keys.read("look_up", self._look_up, None)
        if (proof is Proof.KEYED) != ("window" in keys):
            reader.problem(
                "'window' is how long a keyed target remembers keys, such as 24h or unlimited; "
                "no other proof has one."
            )
        return AtMostOnce(proof, keys.read("window", _window, None), look_up is not None), look_up

    def _look_up(self, reader: Reader) -> LookUp:
        keys = reader.fields(("path", "found"))
        path = self.computed.path(keys, ("params", "key"))
        return LookUp(path, self.computed.needed(keys, "found", Kind.ANY, IN_WRITTEN))

    def undo(self, reader: Reader) -> tuple[str, tuple[UndoWay, ...]]:
        keys = reader.fields(("says", "ways"))
        ways = keys.read("ways", lambda item: item.each(self._way, empty="name one way."), ())
        return keys.read("says", Reader.text, ""), ways

    def _way(self, reader: Reader) -> UndoWay:
        keys = reader.fields((), ("when", "action", "params", "refuse"))
        is_action = "refuse" not in keys
        if ("action" in keys, "params" in keys) != (is_action, is_action):
            reader.problem("a way is an 'action' with its 'params', or 'refuse' with a sentence.")
        return UndoWay(
            self.computed.read(keys, "when", Kind.TRUTH, IN_UNDO),
            keys.read("action", Reader.text, ""),
            self.computed.read(keys, "params", Kind.OBJECT, IN_UNDO),
            keys.read("refuse", Reader.text, ""),
        )

    def facts(self, reader: Reader) -> tuple[OfferedFact, ...]:
        return tuple(self._fact(name, item) for name, item in reader.entries().items())

    def _fact(self, name: str, reader: Reader) -> OfferedFact:
        keys = reader.fields(("type", "meaning", "value"))
        return OfferedFact(
            name,
            keys.read("type", lambda item: item.one_of(_FACT_KINDS, what="a kind of fact"), ""),
            keys.read("meaning", Reader.text, ""),
            self.computed.needed(keys, "value", Kind.ANY, IN_PREVIEW),
        )


def _seconds(reader: Reader) -> int:
    return reader.whole(low=0, high=3_600)


def _window(reader: Reader) -> timedelta | None:
    return None if reader.text() == "unlimited" else reader.duration()
