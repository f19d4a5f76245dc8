"""Which numbers of a document are money: people type and read those as money, never as cents."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from audit.lib.cel_tree import Node, Tree, operator
from audit.lib.money import Money
from policies.cel.compiler import ClauseError, compile_clause
from policies.document import Document

_COMPARED = frozenset({"<", "<=", ">", ">=", "==", "!="})
MONEY_FACTS = frozenset(
    {
        *("action.amount", "action.amount_base", "agent.ceiling"),
        *("plan.sum_base", "session.sum_base"),
        *(
            f"velocity.{whose}_{what}"
            for whose in ("target", "customer", "agent", "owner")
            for what in ("sum_24h", "sum_30d", "allowed_24h")
        ),
    }
)
"""The facts that are minor units."""
_PARAMETER = "param."


def money_parameters(document: Document) -> frozenset[str]:
    """Names of the document's parameters that some clause compares with an amount."""
    found: set[str] = set()
    for clause in _clauses(document):
        if _PARAMETER not in clause:
            continue
        try:
            tree = compile_clause(clause, document.parameters, with_case=True).tree
        except ClauseError:
            continue
        for node in tree.nodes():
            if operator(node) in _COMPARED:
                found |= _parameters_beside_amounts(tree, node)
    return frozenset(found)


def amount_words(minor: int) -> str:
    """The number as money of the base currency: "250.00 EUR"."""
    return str(Money(minor, settings.BASE_CURRENCY))


def _clauses(document: Document) -> Iterator[str]:
    for rule in document.rules:
        yield from rule.when
    for tier_rule in document.tiers:
        yield from tier_rule.when


def _parameters_beside_amounts(tree: Tree, comparison: Node) -> set[str]:
    sides = [_names(tree, side) for side in comparison.call_expr.args]
    if not any(names & MONEY_FACTS for names in sides):
        return set()
    return {
        name.removeprefix(_PARAMETER)
        for names in sides
        for name in names
        if name.startswith(_PARAMETER)
    }


def _names(tree: Tree, start: Node) -> frozenset[str]:
    return frozenset(filter(None, (node.ident_expr.name for node in tree.nodes(start))))
