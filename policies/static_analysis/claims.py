"""What an agent says of its sources may raise a tier, ask more people or deny: never the reverse.

Whoever wants to be judged mildly says that it read nothing but our own systems. A rule or tier that
such words make looser is an error, so that no version with one is published.
"""

from __future__ import annotations

from collections.abc import Iterator

from policies.cel.analysis import facts_of
from policies.cel.compiler import compile_clause
from policies.document import Document, Rule, TierRule
from policies.static_analysis.findings import Finding, Severity
from policies.verdicts import Verdict

CLAIMED = frozenset({"session.sources", "session.worst_source"})
"""Facts that are the agent's word."""


def lowered_by_claims(document: Document) -> Iterator[Finding]:
    """Rules and tiers that what an agent says of its sources could make milder."""
    for rule in document.rules:
        if _asks_about_claims(document, rule) and (why := _milder(rule)):
            yield _finding(f"rule {rule.id}", why)
    for tier in document.tiers:
        if _asks_about_claims(document, tier):
            why = "where no other tier matches it would be below the highest; use a rule with tier:"
            yield _finding(f'tier rule "{tier.reason}"', why)


def _milder(rule: Rule) -> str:
    if rule.effect == Verdict.ALLOW:
        return "it may not allow because of them; ask for approval where they are bad instead"
    if rule.requirements:
        return "requirements replace those of the matrix; use adds"
    return ""


def _asks_about_claims(document: Document, rule: Rule | TierRule) -> bool:
    with_case = isinstance(rule, Rule) and bool(rule.on)
    trees = (
        compile_clause(clause, document.parameters, with_case=with_case).tree
        for clause in rule.when
    )
    return any(CLAIMED & facts_of(tree) for tree in trees)


def _finding(what: str, why: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "claims_lower",
        what,
        f"it asks what the agent says of its sources: {why}.",
    )
