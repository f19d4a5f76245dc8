"""A CEL expression's syntax tree, as CEL itself parsed and type-checked it.

CEL hands out the tree as `cel.expr.CheckedExpr` messages, serialized, and its Python package has no
classes for them. The fields that are read are declared at the end with the numbers the CEL
specification publishes (cel/expr/checked.proto and cel/expr/syntax.proto, which never change), for
protobuf to read. The one package that ships them, xds-protos, brings Envoy's interface and gRPC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

Node: TypeAlias = Any
"""A `cel.expr.Expr` message."""
Literal: TypeAlias = "bool | int | float | str"

_POSITION = re.compile(r"<input>:(\d+):(\d+): (.*)")
_CONSTANTS = ("bool_value", "int64_value", "double_value", "string_value")
_BINARY = {"||": 2, "&&": 3, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "in": 4,
           "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}  # fmt: skip
"""How tightly operators bind."""
_TERNARY, _UNARY, _MEMBER = 1, 7, 8


def is_cut(value: object) -> bool:
    """Whether CEL would see half of it: its Python package ends every text at the first NUL."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(is_cut(key) or is_cut(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(map(is_cut, value))


@dataclass(frozen=True, slots=True)
class Complaint:
    """What CEL says is wrong with an expression, and where in it, counted from 1."""

    message: str
    line: int = 1
    column: int = 1

    @classmethod
    def of(cls, report: str) -> Complaint:
        """Read from the text of the exception that compiling raised."""
        found = _POSITION.search(report)
        return cls(found[3], int(found[1]), int(found[2])) if found else cls(report)


class Tree:
    """The tree of one compiled expression."""

    def __init__(self, program: Any) -> None:
        checked = checked_expr(program.serialize())
        self.root: Node = checked.expr
        self._constants = {
            entry.key: entry.value.value
            for entry in checked.reference_map
            if entry.value.HasField("value")
        }
        self._positions = {entry.key: entry.value for entry in checked.source_info.positions}

    def position(self, node: Node) -> int:
        """Where CEL says the node is, counted from 0: a call is where its bracket opens."""
        return self._positions.get(node.id, 0)

    def nodes(self, start: Node | None = None) -> Iterator[Node]:
        """Every node from this one on, each before its parts, in the order they are written."""
        waiting = [self.root if start is None else start]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(parts(node))

    def conjuncts(self) -> Iterator[Node]:
        """The parts joined by && at the top; the whole when it is anything else than that."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            if operator(node) == "&&":
                waiting += reversed(node.call_expr.args)
            else:
                yield node

    def names(self) -> frozenset[str]:
        """Every variable the expression names."""
        return frozenset(filter(None, (node.ident_expr.name for node in self.nodes())))

    def literal(self, node: Node) -> Literal | None:
        """The value written out here, or of the parameter named here; None for anything else."""
        if operator(node) == "-" and len(node.call_expr.args) == 1:
            value = self.literal(node.call_expr.args[0])
            return -value if isinstance(value, int | float) else None
        constant = self._constants.get(node.id)
        if constant is None:
            if node.WhichOneof("kind") != "const_expr":
                return None
            constant = node.const_expr
        kind = constant.WhichOneof("kind")
        return getattr(constant, kind) if kind in _CONSTANTS else None

    def literals(self, node: Node) -> tuple[Literal, ...] | None:
        """The values of a list written out; None for anything else."""
        if node.WhichOneof("kind") != "list_expr":
            return None
        values = [self.literal(element) for element in node.list_expr.elements]
        return None if None in values else tuple(value for value in values if value is not None)

    def spelled(self, node: Node) -> str:
        """The node in CEL, with parameters as the numbers they are: equal trees, equal texts."""
        return self._spelled(node, 0)

    def _spelled(self, node: Node, binding: int) -> str:
        text, own = self._text(node)
        return text if own >= binding else f"({text})"

    def _text(self, node: Node) -> tuple[str, int]:
        """The text, and how tightly it binds."""
        value = self.literal(node)
        if value is not None:
            text = json.dumps(value, ensure_ascii=False)
            return text, _UNARY if text.startswith("-") else _MEMBER
        kind = node.WhichOneof("kind")
        if kind == "call_expr":
            return self._call(node)
        if kind == "comprehension_expr":
            found = node.comprehension_expr
            where = self._spelled(found.iter_range, _MEMBER)
            asked = self.spelled(condition(node))
            return f"{where}.{macro(node)}({found.iter_var}, {asked})", _MEMBER
        if kind == "select_expr":
            selected = (
                f"{self._spelled(node.select_expr.operand, _MEMBER)}.{node.select_expr.field}"
            )
            return f"has({selected})" if node.select_expr.test_only else selected, _MEMBER
        if kind == "list_expr":
            return f"[{self._listed(node.list_expr.elements)}]", _MEMBER
        if kind == "struct_expr":
            entries = (
                f"{entry.field_key or self.spelled(entry.map_key)}: {self.spelled(entry.value)}"
                for entry in node.struct_expr.entries
            )
            return f"{node.struct_expr.message_name}{{{', '.join(entries)}}}", _MEMBER
        if kind == "ident_expr":
            return node.ident_expr.name, _MEMBER
        return str(node.const_expr).strip(), _MEMBER  # null, bytes, unsigned numbers

    def _call(self, node: Node) -> tuple[str, int]:
        name, args, sign = node.call_expr.function, node.call_expr.args, operator(node)
        if name == "_?_:_":
            first, yes = (self._spelled(arg, _TERNARY + 1) for arg in args[:2])
            return f"{first} ? {yes} : {self._spelled(args[2], _TERNARY)}", _TERNARY
        if name == "_[_]":
            return f"{self._spelled(args[0], _MEMBER)}[{self.spelled(args[1])}]", _MEMBER
        if sign and len(args) == 1:
            return f"{sign}{self._spelled(args[0], _MEMBER)}", _UNARY
        if sign:
            binding = _BINARY[sign]
            tighter = binding if sign in ("&&", "||") else binding + 1  # a && (b && c): the same
            left, right = self._spelled(args[0], binding), self._spelled(args[1], tighter)
            return f"{left} {sign} {right}", binding
        if node.call_expr.HasField("target"):
            name = f"{self._spelled(node.call_expr.target, _MEMBER)}.{name}"
        return f"{name}({self._listed(args)})", _MEMBER

    def _listed(self, nodes: Any) -> str:
        return ", ".join(self.spelled(node) for node in nodes)


def operator(node: Node) -> str:
    """The sign of an operation with one or two operands: "&&", "in", "!"; empty for the rest."""
    name = node.call_expr.function if node.WhichOneof("kind") == "call_expr" else ""
    if name == "@in":
        return "in"
    sign = name.strip("_")
    return sign if name != sign and (sign in _BINARY or sign == "!") else ""


def macro(node: Node) -> str:
    """What a comprehension was written as: all, exists, exists_one, map or filter."""
    found = node.comprehension_expr
    if found.accu_init.WhichOneof("kind") == "list_expr":
        if operator(found.loop_step) == "+":
            return "map"
        (kept,) = found.loop_step.call_expr.args[1].call_expr.args[1].list_expr.elements
        return "filter" if kept.ident_expr.name == found.iter_var else "map"
    if found.accu_init.const_expr.WhichOneof("kind") != "bool_value":
        return "exists_one"
    return "all" if found.accu_init.const_expr.bool_value else "exists"


def condition(node: Node) -> Node:
    """What an all, exists or exists_one asks of every entry."""
    step = node.comprehension_expr.loop_step
    return step.call_expr.args[1 if macro(node) in ("all", "exists") else 0]


def parts(node: Node) -> list[Node]:
    """The nodes a node is made of."""
    kind = node.WhichOneof("kind")
    if kind == "call_expr":
        target = [node.call_expr.target] if node.call_expr.HasField("target") else []
        return [*target, *node.call_expr.args]
    if kind == "select_expr":
        return [node.select_expr.operand]
    if kind == "list_expr":
        return list(node.list_expr.elements)
    if kind == "struct_expr":
        return [n for entry in node.struct_expr.entries for n in (entry.map_key, entry.value)]
    if kind == "comprehension_expr":
        return [node.comprehension_expr.iter_range, node.comprehension_expr.loop_step]
    return []


_PACKAGE = "cel.expr"
_SCALARS = {
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
}
_MESSAGES = {
    "CheckedExpr": (
        "reference_map = 2 *ReferenceEntry",
        "source_info = 5 SourceInfo",
        "expr = 4 Expr",
    ),
    "ReferenceEntry": ("key = 1 int64", "value = 2 Reference"),
    "Reference": ("name = 1 string", "value = 4 Constant"),
    "SourceInfo": ("positions = 4 *PositionEntry",),
    "PositionEntry": ("key = 1 int64", "value = 2 int32"),
    "Expr": (
        "id = 2 int64",
        "const_expr = 3 ?Constant",
        "ident_expr = 4 ?Ident",
        "select_expr = 5 ?Select",
        "call_expr = 6 ?Call",
        "list_expr = 7 ?CreateList",
        "struct_expr = 8 ?CreateStruct",
        "comprehension_expr = 9 ?Comprehension",
    ),
    "Constant": (
        "null_value = 1 ?bool",
        "bool_value = 2 ?bool",
        "int64_value = 3 ?int64",
        "uint64_value = 4 ?uint64",
        "double_value = 5 ?double",
        "string_value = 6 ?string",
        "bytes_value = 7 ?bytes",
    ),
    "Ident": ("name = 1 string",),
    "Select": ("operand = 1 Expr", "field = 2 string", "test_only = 3 bool"),
    "Call": ("target = 1 Expr", "function = 2 string", "args = 3 *Expr"),
    "CreateList": ("elements = 1 *Expr",),
    "CreateStruct": ("message_name = 1 string", "entries = 2 *StructEntry"),
    "StructEntry": ("field_key = 2 string", "map_key = 3 Expr", "value = 4 Expr"),
    "Comprehension": (
        "iter_var = 1 string",
        "iter_range = 2 Expr",
        "accu_var = 3 string",
        "accu_init = 4 Expr",
        "loop_condition = 5 Expr",
        "loop_step = 6 Expr",
        "result = 7 Expr",
    ),
}
"""Every message with its fields: `*` is repeated, `?` one of several of which one is set."""

_FIELD = descriptor_pb2.FieldDescriptorProto


def checked_expr(serialized: bytes) -> Any:
    """The CheckedExpr in what `Expression.serialize()` gives: the message wrapped in an Any."""
    wrapped = any_pb2.Any.FromString(serialized)
    return _classes()["CheckedExpr"].FromString(wrapped.value)


@cache
def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="countersign/checked_expr.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for line in fields:
            field_name, number, kind = line.replace(" = ", " ").split()
            field = message.field.add(
                name=field_name,
                number=int(number),
                label=_FIELD.LABEL_REPEATED if "*" in kind else _FIELD.LABEL_OPTIONAL,
            )
            if "?" in kind:
                field.oneof_index = 0
            kind = kind.lstrip("*?")
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        if any("?" in line for line in fields):
            message.oneof_decl.add(name="kind")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }
