"""A system whose actions are the tools of another MCP server, as a reviewed file.

Each operation is one tool, pinned by the digest of its definition: what people read and published
is what is called, or nothing is. The sentence people decide by is made here from the params;
nothing the server says of its tools becomes ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import re2
import rfc8785

from audit.lib.canonical import JsonObject, JsonValue, canonical, digest_of
from audit.lib.yaml_reader import Fields, Reader
from audit.lib.yaml_source import Problem, YamlError, compose
from connectors.adapters.mcp.conversation import REVISIONS
from connectors.catalogue import (
    ActionType,
    AtMostOnce,
    CarriedOutBy,
    Proof,
    Reversibility,
    Verb,
    masked,
    quoted,
)
from connectors.declared import lint
from connectors.declared.card import NO_AUTHENTICATION, card_without_wire, read_authentication
from connectors.declared.expressions import Expression, Kind, Language
from connectors.declared.file import Authentication, Card
from connectors.declared.operation import derived, read_example
from connectors.declared.params import closed, read_arguments
from connectors.declared.reading import (
    IN_PARAMS,
    Computed,
    check_action_key,
    one_of,
    plain,
    texts,
)

TOOL_NAME = re2.compile(r"\A[A-Za-z0-9_.-]{1,128}\z")
"""The names the protocol recommends: each fits into a header and into a sentence."""
PIN = re2.compile(r"\Asha256:[0-9a-f]{64}\z")

_NEEDED = ("tool", "pin", "title", "version", "verb", "reversibility", "params", "target", "undo")
_OPTIONAL = ("optional", "protected", "counterparty", "amount", "currency", "supervised", "says",
             "reference", "read_back", "example")  # fmt: skip
_NO_WAY_BACK = (Reversibility.READ_ONLY, Reversibility.IRREVERSIBLE)
_SHOWN = 120  # characters of one argument in the sentence
_IN_RESULT = ("params", "body")


@dataclass(frozen=True, slots=True)
class ReadBackCall:
    """The tool that shows the effect, declared by people: what it is asked, and what to find."""

    tool: str
    pin: str
    arguments: Expression
    state: Expression
    after: Expression
    """What `state` comes to once it is done."""


@dataclass(frozen=True, slots=True)
class ToolOperation:
    """One action type, and the tool that carries it out."""

    type: ActionType
    tool: str
    pin: str
    reference: Expression | None
    """What the effect is known by, out of the tool's answer."""
    read_back: ReadBackCall | None


@dataclass(frozen=True, slots=True)
class ToolFile:
    """Everything one file says."""

    card: Card
    revision: str
    operations: tuple[ToolOperation, ...]


def pin_of(definition: JsonObject) -> str:
    """SHA-256 of a tool's definition in canonical JSON, without `_meta`, which is no part of it.

    "" for a definition that has no canonical form.
    """
    try:
        return f"sha256:{digest_of({k: v for k, v in definition.items() if k != '_meta'})}"
    except (rfc8785.CanonicalizationError, RecursionError):
        return ""


def speaks_mcp(content: str) -> bool:
    """Whether the file is of this kind. Raises YamlError."""
    keys = Fields(Reader(compose(content), "", []).entries())
    return keys.read("execution", Reader.text, "") == CarriedOutBy.MCP


def parse_tools(text: str, name: str) -> ToolFile:
    """The server that the file `name`.yaml describes; raises YamlError with every problem."""
    problems: list[Problem] = []
    reader = Reader(compose(text), "", problems)
    keys = reader.fields(
        ("system", "title", "checked_on", "execution", "revision", "authentication", "operations"),
        ("hosts", "draft"),
    )
    if "draft" in keys:
        keys["draft"].problem(
            "is a draft: read what each tool does, say what it acts on, delete what nobody needs, "
            "and then this line."
        )
    revision = keys.read("revision", lambda item: item.one_of(REVISIONS, what="a revision"), "")
    card = replace(
        card_without_wire(keys, name, api_version=f"MCP {revision}"),
        authentication=keys.read("authentication", _authentication, NO_AUTHENTICATION),
        hosts=keys.read("hosts", texts, ()),
        probe="tools/list",
        is_endpoint=True,
    )
    shared = {one: plain(keys[one].node) for one in ("authentication", "revision") if one in keys}

    def operations(found: Reader) -> tuple[ToolOperation, ...]:
        entries = found.entries()
        return tuple(_operation(key, item, card, shared) for key, item in entries.items())

    found = keys.read("operations", operations, ())
    if problems:
        raise YamlError(tuple(sorted(problems, key=lambda one: (one.line, one.column))))
    return ToolFile(card, revision, found)


def _authentication(reader: Reader) -> Authentication:
    found = read_authentication(reader)
    if found.scheme.has_tokens:
        # a token that was refused is renewed and the call made again: here no call ever is
        reader.problem("is one of none, bearer, basic and header: a call is never made twice.")
    return found


def _operation(key: str, reader: Reader, card: Card, shared: JsonObject) -> ToolOperation:
    check_action_key(key, reader)
    keys = reader.fields(_NEEDED, _OPTIONAL)
    params = keys.read("params", read_arguments, None)
    optional = frozenset(keys.read("optional", texts, ()))
    properties = params.properties if params else {}
    required = [name for name in properties if name not in optional]
    computed = Computed(Language(properties, required))
    for name in ("optional", "protected"):
        lint.names_params(keys, name, properties)
    reversibility = keys.read("reversibility", one_of(Reversibility), Reversibility.IRREVERSIBLE)
    if reversibility not in _NO_WAY_BACK:
        keys["reversibility"].problem("no tool takes another's effect back: irreversible.")
    tool, schema = keys.read("tool", _tool, ""), closed(properties, optional)
    read_back = keys.read("read_back", lambda item: _read_back(computed, item), None)
    told = derived(computed, keys, reader)
    told["effect"] = lambda given: call_in_words(tool, card.title, masked(schema, given))
    kind = ActionType(
        key=key,
        version=keys.read("version", lambda item: item.whole(low=1, high=9_999), 1),
        title=keys.read("title", Reader.text, ""),
        verb=keys.read("verb", one_of(Verb), Verb.EXECUTE),
        system=card.system,
        reversibility=reversibility,
        schema=schema,
        undo=keys.read("undo", Reader.text, ""),
        at_most_once=AtMostOnce(Proof.NONE),
        protected=frozenset(keys.read("protected", texts, ())),
        data_classes=params.data_classes if params else frozenset(),
        supervised=keys.read("supervised", Reader.flag, False),
        definition=digest_of({**shared, "execution": "mcp", "operation": plain(reader.node)}),
        execution=CarriedOutBy.MCP,
        is_read_back=read_back is not None,
        **told,
    )
    example = read_example(keys, kind)
    return ToolOperation(
        type=replace(kind, example=example or {}),
        tool=tool,
        pin=keys.read("pin", _pin, ""),
        reference=computed.read(keys, "reference", Kind.TEXT, _IN_RESULT),
        read_back=read_back,
    )


def _read_back(computed: Computed, reader: Reader) -> ReadBackCall:
    keys = reader.fields(("tool", "pin", "arguments", "state", "after"))
    return ReadBackCall(
        tool=keys.read("tool", _tool, ""),
        pin=keys.read("pin", _pin, ""),
        arguments=computed.needed(keys, "arguments", Kind.OBJECT, ("params", "reference")),
        state=computed.needed(keys, "state", Kind.OBJECT, _IN_RESULT),
        after=computed.needed(keys, "after", Kind.OBJECT, IN_PARAMS),
    )


def _tool(reader: Reader) -> str:
    name = reader.text()
    if not TOOL_NAME.match(name):
        reader.problem("is no tool's name: letters, digits, '_', '.' and '-'.")
    return name


def _pin(reader: Reader) -> str:
    pin = reader.text()
    if not PIN.match(pin):
        reader.problem("is the tool's digest as import_mcp wrote it: sha256: and 64 digits.")
    return pin


def call_in_words(tool: str, server: str, params: JsonObject) -> str:
    """What would be done, in our words: the tool, and every argument it would be called with."""
    given = ", ".join(f"{name} {_in_words(value)}" for name, value in params.items())
    return f"Call tool {tool} of {server} with {given}." if given else f"Call {tool} of {server}."


def _in_words(value: JsonValue) -> str:
    if not isinstance(value, str | Mapping | Sequence):
        return canonical(value)
    return quoted(value if isinstance(value, str) else canonical(value), _SHOWN)
