"""The arguments of another server's tool as params: closed, bounded, described in our words.

Only what our schemas can say is taken. What they cannot say is refused by name: a param that lets
more through than people read would be worth nothing. Where a server sets no bounds, ours are set,
which only ever makes what may be asked for less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.declared.reading import ARGUMENT_NAME

LONGEST_TEXT = 2_000  # characters
MOST_ITEMS = 50
_ANY_TEXT = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$"
"""Whatever people can read, line breaks and tabs among it."""
_LARGEST = {"integer": 2**53 - 1, "number": 10**15}
_DEEPEST = 6
_MOST_SCHEMAS = 120  # of one tool, those within others counted, too
_SAYS_NOTHING = frozenset(
    {"title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs",
     "definitions", "deprecated", "readOnly", "writeOnly", "format", "additionalProperties"}
)  # fmt: skip
"""Keywords that narrow nothing, or that ours narrow more (an object is always closed)."""
_KNOWN = {
    "string": {"enum", "const", "pattern", "minLength", "maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set[str](),
    "object": {"properties", "required"},
    "array": {"items", "minItems", "maxItems"},
}
_FORMATS = frozenset({"date", "date-time", "email", "uuid", "ipv4", "ipv6"})


class NotDrafted(Exception):
    """Why a tool cannot become an action type, in the words behind its name."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """Params as a system's file has them, and what the server says about each, by its path."""

    params: dict[str, Any]
    optional: list[str]
    said: dict[str, str]


def arguments_of(tool: str, schema: Any) -> Arguments:
    """The tool's arguments as params. Raises NotDrafted."""
    root = schema if isinstance(schema, Mapping) else {}
    reader = _Reader(tool, root)
    drafted = reader.schema(root, (), {"type": "object"})
    return Arguments(drafted["properties"], drafted.get("optional", []), reader.said)


class _Reader:
    def __init__(self, tool: str, root: Mapping[str, Any]) -> None:
        self._tool, self._root = tool, root
        self.said: dict[str, str] = {}
        self._left = _MOST_SCHEMAS

    def schema(
        self, found: Any, path: tuple[str, ...], otherwise: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """One schema of the server as one of ours."""
        where = ".".join(path) or "what it takes"
        self._left -= 1
        if self._left < 0:
            raise NotDrafted("it takes more arguments than anybody reads")
        if len(path) > _DEEPEST or not isinstance(found, Mapping):
            raise NotDrafted(f"{where} is nested too deeply, or has no schema")
        found = self._resolved({**(otherwise or {}), **found}, where)
        kind = found.get("type", "string" if {"enum", "const"} & set(found) else None)
        if not isinstance(kind, str) or kind not in _KNOWN:
            raise NotDrafted(f"{where} may be of several types or of any, and ours are of one")
        if odd := sorted(set(found) - _KNOWN[kind] - _SAYS_NOTHING - {"type"}):
            raise NotDrafted(f"{where} is described with {', '.join(odd)}, which is not known here")
        if isinstance(description := found.get("description"), str) and path:
            self.said[where] = description
        words = f"The argument {where} of {self._tool}." if path else ""
        drafted = {"type": kind, "description": words}
        return drafted | getattr(self, f"_{kind}")(found, path, where)

    def _resolved(self, found: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The schema without references, and without null: what is not given is left out."""
        result = dict(found)
        for _ in range(_DEEPEST):
            if "$ref" in result:
                result = {**self._referred(result.pop("$ref"), where), **result}
            elif one := _only(result, "anyOf") or _only(result, "oneOf") or _only(result, "allOf"):
                rest = {k: v for k, v in result.items() if k not in ("anyOf", "oneOf", "allOf")}
                result = {**one, **rest}
            elif isinstance(kinds := result.get("type"), list):
                named = [kind for kind in kinds if kind != "null"]
                result["type"] = named[0] if len(named) == 1 else named or ["null"]
                if not isinstance(result["type"], str):
                    break
            else:
                return result
        raise NotDrafted(f"{where} may be of several types or of any, and ours are of one")

    def _referred(self, reference: object, where: str) -> Mapping[str, Any]:
        for section in ("$defs", "definitions"):
            defined = self._root.get(section)
            for name, schema in defined.items() if isinstance(defined, Mapping) else ():
                if reference == f"#/{section}/{name}" and isinstance(schema, Mapping):
                    return schema
        raise NotDrafted(f"{where} refers to a schema that is not there")

    def _string(
        self, found: Mapping[str, Any], path: tuple[str, ...], where: str
    ) -> dict[str, Any]:
        options = [found["const"]] if "const" in found else found.get("enum")
        if options is not None:
            if not isinstance(options, list) or not all(isinstance(one, str) for one in options):
                raise NotDrafted(f"{where} is one of a list that is not all text")
            return {"enum": options}
        pattern = found.get("pattern", _ANY_TEXT)
        if not isinstance(pattern, str) or (pattern[:1], pattern[-1:]) != ("^", "$"):
            raise NotDrafted(f"{where} has a pattern that does not begin with ^ and end with $")
        drafted: dict[str, Any] = {"pattern": pattern}
        if found.get("format") in _FORMATS:
            drafted["format"] = found["format"]
        if _is_whole(least := found.get("minLength", 0), where) and least:
            drafted["minLength"] = least
        longest = found.get("maxLength", LONGEST_TEXT)
        _is_whole(longest, where)
        return {**drafted, "maxLength": max(1, min(longest, 20_000))}

    def _integer(
        self, found: Mapping[str, Any], path: tuple[str, ...], where: str
    ) -> dict[str, Any]:
        return _bounds(found, _LARGEST["integer"], where)

    def _number(
        self, found: Mapping[str, Any], path: tuple[str, ...], where: str
    ) -> dict[str, Any]:
        return _bounds(found, _LARGEST["number"], where)

    def _boolean(
        self, found: Mapping[str, Any], path: tuple[str, ...], where: str
    ) -> dict[str, Any]:
        return {}

    def _array(self, found: Mapping[str, Any], path: tuple[str, ...], where: str) -> dict[str, Any]:
        drafted: dict[str, Any] = {"items": self.schema(found.get("items"), (*path, "items"))}
        if _is_whole(least := found.get("minItems", 0), where) and least:
            drafted["minItems"] = least
        most = found.get("maxItems", MOST_ITEMS)
        _is_whole(most, where)
        return {**drafted, "maxItems": max(1, min(most, 200))}

    def _object(
        self, found: Mapping[str, Any], path: tuple[str, ...], where: str
    ) -> dict[str, Any]:
        properties, required = found.get("properties"), found.get("required", [])
        if not isinstance(properties, Mapping) or not properties:
            raise NotDrafted(f"{where} has no named arguments, so nothing could be judged by them")
        if not isinstance(required, list):
            raise NotDrafted(f"{where} names what is required by no list")
        drafted = dict(self._properties(properties, path))
        optional = [name for name in drafted if name not in required]
        return {"properties": drafted, **({"optional": optional} if optional else {})}

    def _properties(
        self, properties: Mapping[str, Any], path: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, schema in properties.items():
            if not isinstance(name, str) or not ARGUMENT_NAME.match(name):
                raise NotDrafted("an argument's name is more than letters, digits and underscores")
            yield name, self.schema(schema, (*path, name))


def _only(schema: Mapping[str, Any], keyword: str) -> Mapping[str, Any] | None:
    """The one alternative that is not null; None where there are more, or none are named."""
    options = schema.get(keyword)
    if not isinstance(options, list):
        return None
    left = [one for one in options if not (isinstance(one, Mapping) and one.get("type") == "null")]
    return left[0] if len(left) == 1 and isinstance(left[0], Mapping) else None


def _bounds(found: Mapping[str, Any], largest: int, where: str) -> dict[str, Any]:
    low, high = found.get("minimum", -largest), found.get("maximum", largest)
    for bound in (low, high):
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise NotDrafted(f"{where} has a bound that is no number")
    return {"minimum": max(low, -largest), "maximum": min(high, largest)}


def _is_whole(value: object, where: str) -> bool:
    if type(value) is not int or value < 0:
        raise NotDrafted(f"{where} has a length that is no whole number")
    return True
