"""A company's own database as a reviewed file: which rows of which tables may be changed, and how.

What the file does not list cannot be named: no other table, no other column, no other value. Each
table is one action type, which sets columns of one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import re2

from audit.lib.canonical import JsonObject, digest_of
from audit.lib.yaml_reader import Fields, Reader
from audit.lib.yaml_source import Problem, YamlError, compose
from connectors.adapters.records.actions import listed
from connectors.catalogue import ActionType, AtMostOnce, Proof, Reversibility, Verb, quoted, text
from connectors.declared.card import card_without_wire
from connectors.declared.file import Card
from connectors.declared.params import closed, read_params
from connectors.declared.reading import check_action_key, one_of, plain, texts

_NAME = re2.compile(r"\A[A-Za-z_][A-Za-z0-9_]{0,62}(?:\.[A-Za-z_][A-Za-z0-9_]{0,62})?\z")
_KINDS = ("string", "integer", "boolean")
RECORD = "record"
"""The param that names the row."""


@dataclass(frozen=True, slots=True)
class OpenTable:
    """One table of which rows may be changed."""

    type: ActionType
    name: str  # "customers" or "sales.customers"
    key: str
    """The column a row is found by; no two rows have the same in it."""
    columns: Mapping[str, str]
    """Those that may be changed, and the kind of each: string, integer, boolean."""
    shows: tuple[str, ...]
    """What reviewers read of the row beside."""
    version: str
    """The column that changes with every change of the row; "": the columns changed are held."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """Everything one file says."""

    card: Card
    tables: tuple[OpenTable, ...]


def describes_tables(content: str) -> bool:
    """Whether the file is of this kind. Raises YamlError."""
    return "tables" in Reader(compose(content), "", []).entries()


def parse_tables(content: str, name: str) -> TableFile:
    """The database that the file `name`.yaml describes; raises YamlError with every problem."""
    problems: list[Problem] = []
    reader = Reader(compose(content), "", problems)
    keys = reader.fields(("system", "title", "checked_on", "tables"))
    card = card_without_wire(keys, name, api_version="SQL")  # who signs in stands in the address

    def tables(found: Reader) -> tuple[OpenTable, ...]:
        return tuple(_table(key, item, card.system) for key, item in found.entries().items())

    found = keys.read("tables", tables, ())
    if problems:
        raise YamlError(tuple(sorted(problems, key=lambda one: (one.line, one.column))))
    return TableFile(card, found)


def _table(name: str, reader: Reader, system: str) -> OpenTable:
    keys = reader.fields(
        ("action", "title", "version", "verb", "key", "columns"),
        ("shows", "row_version", "protected"),
    )
    action = keys.read("action", Reader.text, "")
    if action:
        check_action_key(action, keys["action"])
    key, key_schema = keys.read("key", _key, ("", {}))
    found = keys.read("columns", read_params, None)
    columns = found.properties if found else {}
    for column, schema in columns.items():
        if schema.get("type") not in _KINDS:
            keys["columns"].problem(f"{column} may be one of {', '.join(_KINDS)}.")
    shows = keys.read("shows", texts, ())
    version = keys.read("row_version", Reader.text, "")
    for column in (name, key, version, *columns, *shows):
        if column and not _NAME.match(column):
            reader.problem(f"'{column}' cannot be the name of a table or column here.")
    changed: JsonObject = {
        **closed(columns, columns),
        "minProperties": 1,
        "description": "The columns to change and their new values.",
    }
    kind = ActionType(
        key=action,
        version=keys.read("version", lambda item: item.whole(low=1, high=9_999), 1),
        title=keys.read("title", Reader.text, ""),
        verb=keys.read("verb", one_of(Verb), Verb.UPDATE),
        system=system,
        reversibility=Reversibility.REVERSIBLE,
        schema=closed({RECORD: key_schema, "fields": changed}),
        target=lambda params: f"{name} {quoted(text(params, RECORD))}",
        effect=lambda params: (
            f"In {name}, row {quoted(text(params, RECORD))}, set {listed(params)}."
        ),
        undo=f"The earlier values can be set again ({action}).",
        at_most_once=AtMostOnce(Proof.KEYED, can_look_up=True),
        protected=frozenset({RECORD}),
        data_classes=found.data_classes if found else frozenset(),
        undo_type=action,
        shown=closed({column: {"type": columns[column]["type"]} for column in columns}, columns),
        definition=digest_of({"table": name, "says": plain(reader.node)}),
    )
    kinds = {column: str(schema["type"]) for column, schema in columns.items()}
    return OpenTable(kind, name, key, kinds, shows, version)


def _key(reader: Reader) -> tuple[str, JsonObject]:
    """The column, and what its values look like."""
    entries = Fields(reader.entries())
    if len(entries) != 1:
        reader.problem("names one column, with its type and pattern.")
        return "", {}
    found = read_params(reader)
    ((column, schema),) = found.properties.items()
    if schema.get("type") != "string":
        reader.problem("the key is text; a number is written as text, too.")
    return column, schema
