"""A policy document as typed values: what `policies.parser` makes of the YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from policies.cel import Battery
from policies.facts import Facts
from policies.matrix import Matrix
from policies.verdicts import RequirementSpec, RuleTrace, Verdict
from policies.windows import Freeze, Window


@dataclass(frozen=True, slots=True)
class Rule:
    """Its clauses must all hold; then its effect counts.

    `requirements` replace the matrix's on tiers 0 to 3 and come on top of them on 4 and 5;
    `adds` come on top whatever else is required. `tier` is a floor: a rule can raise, never lower.
    """

    id: str
    owner: str
    reason: str
    when: tuple[str, ...]
    effect: Verdict
    tier: int = 0
    requirements: tuple[RequirementSpec, ...] = ()
    adds: tuple[RequirementSpec, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TierRule:
    """Its clauses must all hold; then the action is at least of this tier."""

    tier: int
    reason: str
    when: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """A test the document brings along: facts in, verdict, tier and groups out."""

    name: str
    facts: Facts
    verdict: Verdict
    tier: int | None
    groups: tuple[str, ...] | None  # sorted; None when the test does not say


@dataclass(frozen=True)
class Document:
    """One policy document. Equal digests are equal documents."""

    digest: str
    rules: tuple[Rule, ...]
    tiers: tuple[TierRule, ...]
    matrix: Matrix
    windows: Mapping[str, Window]
    tests: tuple[Expectation, ...]
    business_hours: Window | None = None
    freezes: tuple[Freeze, ...] = ()

    @cached_property
    def clauses(self) -> Battery:
        """Every clause, compiled once however many rules share it."""
        texts = [clause for rule in self.rules for clause in rule.when]
        return Battery(texts + [clause for rule in self.tiers for clause in rule.when])

    @cached_property
    def known_traces(self) -> dict[tuple[object, ...], RuleTrace]:
        """Traces of rules by their clauses' outcomes: most requests look like earlier ones."""
        return {}
