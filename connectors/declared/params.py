"""Reading an operation's params: JSON Schema (2020-12), closed and bounded.

Whatever an agent sends is held against these before anybody sees it, so a schema that lets
anything through is refused when it is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jsonschema_rs

from audit.lib.canonical import JsonObject
from audit.lib.yaml_reader import Fields, Reader
from connectors.catalogue import MASKED_CLASSES
from connectors.declared.reading import ARGUMENT_NAME, PARAM_NAME, texts, word

_TYPES = ("string", "integer", "number", "boolean", "object", "array")
_LONGEST_TEXT = 20_000  # characters
_MOST_ITEMS = 200
_KEYWORDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # by type: what must be there, and what may
    "string": ((), ("enum", "pattern", "minLength", "maxLength", "format")),
    "integer": (("minimum", "maximum"), ()),
    "number": (("minimum", "maximum"), ()),
    "boolean": ((), ()),
    "object": (("properties",), ("optional", "minProperties")),
    "array": (("items", "maxItems"), ("minItems",)),
}
IsName: TypeAlias = Callable[[str], object]
_FORMATS = ("date", "date-time", "email", "uuid", "ipv4", "ipv6")


@dataclass(frozen=True, slots=True)
class Params:
    """The params of one operation."""

    properties: dict[str, JsonObject]
    data_classes: frozenset[str]


def read_params(reader: Reader) -> Params:
    """The schema of each param by its name; the params' object itself is always closed."""
    return _params(reader, PARAM_NAME.match)


def read_arguments(reader: Reader) -> Params:
    """The same of what another server's tool is called with: it has named its arguments."""
    return _params(reader, ARGUMENT_NAME.match)


def _params(reader: Reader, is_name: IsName) -> Params:
    classes: set[str] = set()
    return Params(_properties(reader, classes, is_name), frozenset(classes))


def read_shown(keys: Fields) -> JsonObject:
    """The schema of what a preview shows before and after, for rules to be checked against."""
    shows = Fields(keys["read"].entries()).get("shows") if "read" in keys else None
    if shows is None:
        return {}
    return closed({name: _type_of(item) for name, item in shows.entries().items()})


def closed(properties: Mapping[str, JsonObject], optional: Collection[str] = ()) -> JsonObject:
    """The schema of an object that has these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": sorted(set(properties) - set(optional)),
        "additionalProperties": False,
    }


def _type_of(reader: Reader) -> JsonObject:
    keys = reader.fields(("type",))
    known = [name for name in _TYPES if name not in ("object", "array")]
    return {"type": keys.read("type", lambda item: item.one_of(known, what="a type"), "string")}


def _properties(reader: Reader, classes: set[str], is_name: IsName) -> dict[str, JsonObject]:
    found = {}
    for name, item in reader.entries().items():
        if not is_name(name):
            item.problem("a param's name is a lower-case word, such as 'ticket' or 'due_on'.")
        found[name] = _schema(item, classes, is_name)
    if not found:
        reader.problem("names no param; an action without any has nothing to be judged by.")
    return found


def _schema(reader: Reader, classes: set[str], is_name: IsName) -> JsonObject:
    entries = Fields(reader.entries())
    kind = entries.read("type", lambda item: item.one_of(_TYPES, what="a type"), "string")
    needed, may = _KEYWORDS[kind or "string"]
    keys = reader.fields(("type", "description", *needed), (*may, "data_class"))
    if data_class := keys.read("data_class", word, ""):
        classes.add(data_class)
    schema: dict[str, Any] = {
        "type": kind,
        "description": keys.read("description", Reader.text, ""),
    }
    if data_class in MASKED_CLASSES:
        schema["writeOnly"] = True
    for name in (*needed, *may):
        if name in keys and name not in ("properties", "items", "optional"):
            schema[name] = keys[name].value()
    if "properties" in keys:
        optional = keys.read("optional", texts, ())
        schema |= closed(_properties(keys["properties"], classes, is_name), optional)
    if "items" in keys:
        schema["items"] = _schema(keys["items"], classes, is_name)
    if kind == "string":
        _bound(keys, schema)
    if kind == "array" and not _is_whole(schema.get("maxItems"), _MOST_ITEMS):
        reader.problem(f"'maxItems' must be a whole number up to {_MOST_ITEMS}.")
    _understood(reader, schema)
    return schema


def _bound(keys: Fields, schema: Mapping[str, Any]) -> None:
    """Every text has an end, and says what it is made of."""
    if "enum" in schema:
        return
    if not _is_whole(schema.get("maxLength"), _LONGEST_TEXT):
        keys["type"].problem(f"text needs an 'enum', or a 'maxLength' up to {_LONGEST_TEXT:,}.")
    pattern = schema.get("pattern")
    if not isinstance(pattern, str):
        keys["type"].problem("text needs a 'pattern' that says what it is made of.")
    elif (pattern[:1], pattern[-1:]) != ("^", "$"):
        keys["pattern"].problem("a pattern begins with ^ and ends with $: all of the text counts.")
    if schema.get("format", _FORMATS[0]) not in _FORMATS:
        keys["format"].problem(f"known formats are {', '.join(_FORMATS)}.")


def _understood(reader: Reader, schema: JsonObject) -> None:
    try:
        jsonschema_rs.Draft202012Validator(
            json.dumps(schema, default=str), pattern_options=jsonschema_rs.RegexOptions()
        )
    except (jsonschema_rs.ValidationError, ValueError) as error:
        said = getattr(error, "message", None) or str(error)
        reader.problem(f"is no JSON Schema: {' '.join(str(said).split())[:200]}.")


def _is_whole(value: object, largest: int) -> bool:
    return type(value) is int and 0 < value <= largest
