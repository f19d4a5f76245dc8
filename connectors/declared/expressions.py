"""What a system's file computes: CEL expressions, and sentences and paths with CEL in braces.

An expression sees the params (typed by their schema), what the target answered, and where it
stands also the key, the guard and the receipt. It is compiled and typed when the file is read, so
that a misspelt param is found by whoever wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import Enum
from typing import Any
from urllib.parse import quote

from cel_expr_python import cel

from audit.lib.canonical import JsonObject, JsonValue
from audit.lib.cel_tree import Complaint, Tree, is_cut
from audit.lib.spelling import suggestion
from connectors.catalogue import quoted

PARAMS = "params"
ANSWER = ("status", "headers", "body")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_KINDS = {
    "string": cel.Type.STRING,
    "integer": cel.Type.INT,
    "number": cel.Type.DOUBLE,
    "boolean": cel.Type.BOOL,
    "array": cel.Type.List(cel.Type.DYN),
    "object": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}


class Kind(Enum):
    """What a place in the file expects an expression to come to."""

    TEXT = "text"
    TRUTH = "true or false"
    NUMBER = "a whole number"
    OBJECT = "an object"
    ANY = "anything"


_TYPES: Mapping[Kind, tuple[Any, type]] = {
    Kind.TEXT: (cel.Type.STRING, str),
    Kind.TRUTH: (cel.Type.BOOL, bool),
    Kind.NUMBER: (cel.Type.INT, int),
    Kind.OBJECT: (cel.Type.Map(cel.Type.STRING, cel.Type.DYN), dict),
}
_PLAIN = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._@:/+#-]*\Z", re.ASCII)
_PLACE = re.compile(r"\{([^{}]*)\}")
_BRACE = re.compile(r"[{}]")


class ExpressionError(ValueError):
    """The expression cannot be used; line and column are its own, counted from 1."""

    def __init__(self, message: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class NoValue(Exception):
    """The expression came to nothing usable: a field the answer does not have, a wrong type."""


@dataclass(frozen=True, slots=True)
class Values:
    """What expressions are evaluated over."""

    params: JsonObject
    status: int = 0
    headers: Mapping[str, str] | None = None
    body: JsonValue = None
    key: str = ""
    guard: str = ""
    reference: str = ""
    previous: JsonObject | None = None
    records: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """One compiled CEL expression that comes to one kind of value."""

    text: str
    kind: Kind
    language: Language
    program: Any

    def of(self, values: Values) -> Any:
        """The value, as JSON has it. Raises NoValue."""
        try:
            found = self.program.eval(self.language.activation(values))
            value = found.plain_value()
        except RuntimeError as error:
            raise NoValue(str(error)) from error
        if found.type() == cel.Type.ERROR:
            raise NoValue(f"{self.text}: {value}")
        if self.kind in _TYPES and type(value) is not _TYPES[self.kind][1]:
            raise NoValue(f"{self.text} is not {self.kind.value}")
        return value


@dataclass(frozen=True, slots=True)
class Template:
    """Text with expressions in braces: `Service {params.service}`."""

    literals: tuple[str, ...]  # one more than there are expressions
    expressions: tuple[Expression, ...]

    def sentence(self, values: Values) -> str:
        """For people: whatever is no plain word stands in quotes, so it never speaks as we do."""
        return self._filled(values, _said)

    def path(self, values: Values) -> str:
        """For an address: each value stays one segment. Raises NoValue for what cannot be one."""
        return self._filled(values, _segment)

    def header(self, values: Values) -> str:
        """For one line on the wire. Raises NoValue for what would become two."""
        text = self._filled(values, lambda expression, value: str(value))
        if not text.isascii() or not text.isprintable():
            raise NoValue("A header's value is printable ASCII on one line.")
        return text

    def _filled(self, values: Values, put: Callable[[Expression, object], str]) -> str:
        parts = [self.literals[0]]
        for expression, literal in zip(self.expressions, self.literals[1:], strict=True):
            parts += [put(expression, expression.of(values)), literal]
        return "".join(parts)


def _said(expression: Expression, value: object) -> str:
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if expression.text.lstrip().startswith("quoted("):
        return value
    return value if _PLAIN.match(value) else quoted(value)


def _segment(expression: Expression, value: object) -> str:
    # "", "." and ".." survive quoting and would move to another path
    if not isinstance(value, str) or value in {"", ".", ".."}:
        raise NoValue(f"{expression.text} cannot be part of an address")
    return quote(value, safe="")


class Language:
    """CEL with the params of one operation, and what a call and its answer consist of."""

    def __init__(self, properties: Mapping[str, JsonObject], required: Collection[str]) -> None:
        self._types = {
            f"{PARAMS}.{name}": _KINDS.get(str(schema.get("type")), cel.Type.DYN)
            if name in required
            else cel.Type.DYN
            for name, schema in properties.items()
        }
        self._names = [*self._types, *_CALL]
        self._env = cel.NewEnv(
            variables={**self._types, **_CALL},
            functions=[
                _function("quoted", quoted),
                _function("json", json.dumps),
                _function("http_date", _http_date),
                _function("last_segment", _last_segment),
            ],
        )

    def activation(self, values: Values) -> Any:
        """The values as CEL takes them; an optional param that is not there is null.

        Raises NoValue for what CEL would see half of.
        """
        if is_cut([values.params, values.body, values.previous, values.records]):
            raise NoValue("NUL is no part of any text")
        known = {name: values.params.get(name.partition(".")[2]) for name in self._types}
        return self._env.Activation(
            known
            | {
                "status": values.status,
                "headers": dict(values.headers or {}),
                "body": values.body,
                "key": values.key,
                "guard": values.guard,
                "reference": values.reference,
                "previous": dict(values.previous or {}),
                "records": dict(values.records or {}),
            }
        )

    def expression(self, text: str, kind: Kind, sees: Collection[str]) -> Expression:
        """Compile one expression which may name `sees`; raises ExpressionError."""
        try:
            program = self._env.compile(text)
        except RuntimeError as error:
            raise self._explained(str(error)) from error
        found = program.return_type()
        if found != cel.Type.DYN and kind in _TYPES and not _fits(found, kind):
            raise ExpressionError(f"This is {found.name().lower()}; {kind.value} is wanted here.")
        tree = Tree(program)
        for name in sorted(tree.names() & self._all()):
            if name.partition(".")[0] not in sees:
                raise ExpressionError(f"'{name}' is not known here; {_known(sees)}.")
        if _is_nested(tree):
            raise ExpressionError("A list within a list takes too long; name fewer.")
        return Expression(text, kind, self, program)

    def template(self, text: str, sees: Collection[str]) -> Template:
        """Compile text with expressions in braces; raises ExpressionError."""
        literals, expressions, end = [], [], 0
        for place in _PLACE.finditer(text):
            literals.append(text[end : place.start()])
            end = place.end()
            try:
                expressions.append(self.expression(place[1], Kind.ANY, sees))
            except ExpressionError as error:
                column = place.start(1) + error.column
                raise ExpressionError(str(error), line=error.line, column=column) from error
        literals.append(text[end:])
        for literal in literals:
            if stray := _BRACE.search(literal):
                column = text.index(literal) + stray.start() + 1
                raise ExpressionError("An expression stands in { and }.", column=column)
        return Template(tuple(literals), tuple(expressions))

    def _all(self) -> frozenset[str]:
        return frozenset(self._names)

    def _explained(self, report: str) -> ExpressionError:
        complaint = Complaint.of(report)
        message, column = complaint.message.rstrip("."), complaint.column
        if undeclared := _UNDECLARED.search(message):
            name = undeclared[1]
            hint = suggestion(name, self._names) or f" Known: {', '.join(self._names)}."
            message = f"there is no '{name}'.{hint}".rstrip(".")
            column = max(1, column - len(name.rpartition(".")[0]))  # CEL points at the last point
        return ExpressionError(f"{message}.", line=complaint.line, column=column)


_CALL = {
    "status": cel.Type.INT,
    "headers": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "body": cel.Type.DYN,
    "key": cel.Type.STRING,
    "guard": cel.Type.STRING,
    "reference": cel.Type.STRING,
    "previous": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "records": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}


def _function(name: str, implementation: Callable[[str], str]) -> Any:
    """A function from text to text that the files may call."""
    overload = cel.Overload(f"{name}_text", cel.Type.STRING, [cel.Type.STRING], impl=implementation)
    return cel.FunctionDecl(name, [overload])


def _http_date(text: str) -> str:
    """A moment of ISO 8601 as HTTP writes it (RFC 9110, 5.6.7): whole seconds, in GMT."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("A moment without its zone is none.")
    return format_datetime(at.astimezone(UTC), usegmt=True)


def _last_segment(address: str) -> str:
    """What stands behind the last slash of an address: the id in a Location header."""
    return address.rstrip("/").rpartition("/")[2]


def _fits(found: Any, kind: Kind) -> bool:
    if kind is Kind.OBJECT:
        return bool(found.name().startswith("MAP<STRING,"))
    return bool(found == _TYPES[kind][0])


def _known(sees: Collection[str]) -> str:
    return f"known are {', '.join(sees)}"


def _is_nested(tree: Tree) -> bool:
    """Does the expression go through a list for every entry of a list?"""
    loops = [n for n in tree.nodes() if n.WhichOneof("kind") == "comprehension_expr"]
    return any(
        inner.WhichOneof("kind") == "comprehension_expr"
        for loop in loops
        for inner in tree.nodes(loop.comprehension_expr.loop_step)
    )
