"""Clauses read as simple comparisons, where they are: what can be said about them without facts.

`action.amount > 0 && action.amount <= 25000` says which amounts it means; `a || b` does not. What
is not a conjunction of comparisons of one fact with a literal stays opaque: nothing is claimed
about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from audit.lib.cel_tree import Node, Tree, operator
from policies.cel.compiler import ClauseError, Parameters, compile_clause
from policies.cel.intervals import Region, Span, Term
from policies.facts import declared

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def region_of(clauses: Iterable[str], parameters: Mapping[str, int] | None = None) -> Region:
    """What the clauses mean together, with the document's parameters as the numbers they are.

    Raises ClauseError for what is no clause.
    """
    spans: dict[str, Span] = {}
    opaque: set[str] = set()
    for clause in clauses:
        tree = compile_clause(clause, tuple((parameters or {}).items()), with_case=True).tree
        for part in tree.conjuncts():
            term = _term(tree, part)
            if term is None:
                opaque.add(tree.spelled(part))
            else:
                spans[term.fact] = spans.get(term.fact, Span()).narrowed(term)
    spans = {name: span for name, span in spans.items() if span != Span()}
    return Region(spans, frozenset(opaque - {"true"}))


def literals_of(clause: str, name: str, parameters: Parameters = ()) -> tuple[str, ...]:
    """Texts the clause compares the fact with, wherever in it that is."""
    tree = compile_clause(clause, parameters, with_case=True).tree
    found: list[str] = []
    for node in tree.nodes():
        if operator(node) not in ("==", "!=", "in"):
            continue
        left, right = node.call_expr.args
        if name in (fact(left), fact(right)):
            other = right if fact(left) == name else left
            texts = (tree.literal(part) for part in tree.nodes(other))
            found += [text for text in texts if isinstance(text, str)]
    return tuple(found)


def facts_of(tree: Tree) -> frozenset[str]:
    """Every fact the clause looks at."""
    return tree.names() & declared().keys()


def fact(node: Node) -> str:
    """The fact this node names; empty when it is anything else."""
    name = node.ident_expr.name if node.WhichOneof("kind") == "ident_expr" else ""
    return name if name in declared() else ""


def scope_of(clause: str, parameters: Parameters = ()) -> str:
    """The fact that the clause holds to values written out: `a.b == "x"`, `a.b in ["x", "y"]`.

    Empty for every other clause, and for an empty value: that would hold for whatever is unknown.
    """
    try:
        tree = compile_clause(clause, parameters, with_case=True).tree
    except ClauseError:
        return ""
    term = _term(tree, tree.root)
    if term is None or term.operator not in ("==", "in") or not term.values:
        return ""
    return term.fact if all(isinstance(v, str) and v for v in term.values) else ""


def _term(tree: Tree, node: Node) -> Term | None:
    """The comparison this node is; None when it is something else."""
    name = fact(node)
    if name:
        return Term(name, "==", (True,)) if declared()[name].kind is bool else None
    sign, args = operator(node), node.call_expr.args
    if sign == "!":
        name = fact(args[0])
        return Term(name, "==", (False,)) if name else None
    if sign == "in":
        name, values = _measured(args[0]), tree.literals(args[1])
        return Term(name, "in", values) if name and values is not None else None
    if sign not in _MIRRORED:
        return None
    name, value = _measured(args[0]), tree.literal(args[1])
    if not name:
        name, value, sign = _measured(args[1]), tree.literal(args[0]), _MIRRORED[sign]
    return Term(name, sign, (value,)) if name and value is not None else None


def _measured(node: Node) -> str:
    """The fact, or the size of one, that this node is; empty when it is anything else."""
    call = node.call_expr
    if call.function != "size":
        return fact(node)
    name = fact(call.target if call.HasField("target") else call.args[0])
    return f"size({name})" if name else ""
