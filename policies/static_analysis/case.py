"""What rules ask about the case, held against the fields that the action types have.

CEL does not know them: `params`, `before` and `after` differ from one action type to another, and a
field that is not there is an error when it is asked for, so that people decide. Here whoever writes
the rule hears of it first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from audit.lib.cel_tree import Literal, Node, Tree, operator, parts
from audit.lib.spelling import suggestion
from policies import patterns
from policies.cel.compiler import compile_clause
from policies.document import Document, Rule
from policies.facts import CASE
from policies.static_analysis.findings import Finding, Severity
from policies.verdicts import Verdict

Schema: TypeAlias = Mapping[str, Any]
"""JSON Schema (2020-12) of an object."""
Schemas: TypeAlias = Mapping[str, Mapping[str, Schema]]
"""By action type, the schemas of params, before and after; none for what it does not declare."""

_EQUALITIES = ("==", "!=", "in")
_COMPARISONS = (*_EQUALITIES, "<", "<=", ">", ">=")
_KINDS = {
    "string": ("text", (str,)),
    "integer": ("a number", (int, float)),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", (bool,)),
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One place where a clause names a field of the case."""

    path: tuple[str, ...]  # ("params", "fields", "stage")
    is_test: bool  # has(params.fields.stage)
    compared_with: tuple[Literal, ...] = ()
    equals: tuple[Literal, ...] = ()
    """Those it is held to be, or not to be."""

    def __str__(self) -> str:
        return ".".join(self.path)


def about_the_case(document: Document, schemas: Schemas) -> Iterator[Finding]:
    """Fields no such action type has, that may be missing, or that never are what is asked."""
    for rule in document.rules:
        covered = [key for key in schemas if any(patterns.applies(one, key) for one in rule.on)]
        yield from _families(rule, schemas)
        for clause in rule.when[1:] if covered else ():
            asked = _asked(compile_clause(clause, document.parameters, with_case=True).tree)
            tested = {one.path for one in asked if one.is_test}
            found: dict[Finding, None] = {}
            for one in asked:
                said = [_finding(rule, key, schemas[key], one, tested) for key in covered]
                unknown = [f for f in said if f is not None and f.code == "unknown_field"]
                is_tested = any(one.path[: len(path)] == path for path in tested)
                if is_tested and len(unknown) < len(covered):  # some have it, and it asks which
                    said = [finding for finding in said if finding not in unknown]
                found |= dict.fromkeys(finding for finding in said if finding is not None)
            yield from found


def _families(rule: Rule, schemas: Schemas) -> Iterator[Finding]:
    """Families without members; a type nobody has is found by its name in the clause."""
    for family in rule.on if schemas else ():
        if family.endswith("*") and not any(patterns.applies(family, key) for key in schemas):
            severity = Severity.ERROR if rule.effect == Verdict.DENY else Severity.WARNING
            sentence = f"there is no action type of {family}."
            yield Finding(severity, "unknown_action_type", f"rule {rule.id}", sentence)


def _finding(
    rule: Rule,
    action_type: str,
    schemas: Mapping[str, Schema],
    asked: _Asked,
    tested: set[tuple[str, ...]],
) -> Finding | None:
    what, schema = f"rule {rule.id}", schemas.get(asked.path[0])
    may_be_missing = ""
    for depth, name in enumerate(asked.path[1:], 1):
        if not schema or "properties" not in schema:
            return None
        properties = schema["properties"]
        if name not in properties:
            if schema.get("additionalProperties", False):
                return None
            near = suggestion(name, list(properties)) or f" It has {', '.join(properties)}."
            sentence = f"{action_type} has no {'.'.join(asked.path[: depth + 1])}.{near}"
            return Finding(Severity.ERROR, "unknown_field", what, sentence)
        if name not in schema.get("required", ()):
            may_be_missing = may_be_missing or ".".join(asked.path[: depth + 1])
        schema = properties[name]
    if asked.is_test or schema is None:
        return None
    wrong = _never(asked, schema)
    if wrong:
        return Finding(Severity.ERROR, "wrong_kind", what, wrong)
    if may_be_missing and not any(asked.path[: len(path)] == path for path in tested):
        sentence = (
            f"{may_be_missing} may be missing, and then people decide at the highest tier; "
            f"ask has({may_be_missing}) && first."
        )
        return Finding(Severity.WARNING, "may_be_missing", what, sentence)
    return None


def _never(asked: _Asked, schema: Schema) -> str:
    """Why a comparison can never hold; empty when it can."""
    name, types = _KINDS.get(str(schema.get("type")), ("", ()))
    for value in asked.compared_with:
        is_of_kind = isinstance(value, bool) == (types == (bool,)) and isinstance(value, types)
        if types and not is_of_kind:
            return f"{asked} is {name}, and is compared with {value!r}."
    words = schema.get("enum") or ()
    for value in asked.equals if words else ():
        if value not in words:
            near = suggestion(str(value), [str(word) for word in words])
            return f"{asked} is never {value!r}.{near}"
    return ""


def _asked(tree: Tree) -> list[_Asked]:
    found: list[_Asked] = []
    _collect(tree, tree.root, found)
    return found


def _collect(
    tree: Tree, node: Node, found: list[_Asked], by: str = "", others: tuple[Literal, ...] = ()
) -> None:
    """Every place below the node, with the literals it is compared with there, and how."""
    path = _path(tree, node)
    if path:
        is_test = node.WhichOneof("kind") == "select_expr" and node.select_expr.test_only
        found.append(_Asked(path, is_test, others, others if by in _EQUALITIES else ()))
        return
    sign = operator(node)
    if sign in _COMPARISONS and len(node.call_expr.args) == 2:
        left, right = node.call_expr.args
        _collect(tree, left, found, sign, _literals(tree, right))
        name = tree.literal(left)
        inside = _path(tree, right)
        if sign != "in":
            _collect(tree, right, found, sign, _literals(tree, left))
        elif inside and isinstance(name, str):  # "stage" in params.fields
            found.append(_Asked((*inside, name), is_test=True))
        else:
            _collect(tree, right, found)
        return
    for part in parts(node):
        _collect(tree, part, found)


def _literals(tree: Tree, node: Node) -> tuple[Literal, ...]:
    value = tree.literal(node)
    return (value,) if value is not None else tree.literals(node) or ()


def _path(tree: Tree, node: Node) -> tuple[str, ...]:
    """`params.fields.stage` and `params["fields"].stage` as their names; empty for the rest."""
    kind = node.WhichOneof("kind")
    if kind == "ident_expr":
        return (node.ident_expr.name,) if node.ident_expr.name in CASE else ()
    if kind == "select_expr":
        above = _path(tree, node.select_expr.operand)
        return (*above, node.select_expr.field) if above else ()
    if kind == "call_expr" and node.call_expr.function == "_[_]":
        above = _path(tree, node.call_expr.args[0])
        name = tree.literal(node.call_expr.args[1])
        return (*above, name) if above and isinstance(name, str) else ()
    return ()
