"""A policy document as typed values: what `policies.reading.parser` makes of the YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter, itemgetter

from policies.clauses.battery import Battery, Values
from policies.clauses.cel import Parameters
from policies.facts import FactError, Facts, declared
from policies.matrix import Matrix, Pattern
from policies.verdicts import Evaluation, RequirementSpec, RuleTrace, Verdict
from policies.windows import Freeze, Window

READ_BY_THE_ENGINE = (
    "action.type",
    "action.reversibility",
    "action.rate_known",
    "evidence.preview_available",
    "action.supervised",
    "evidence.kinds",
    "evidence.flags",
    "action.sample",
)
"""Facts `policies.evaluate` may look at by itself, in the order of `objections.Seen`."""


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of exception: who answers for it, and what it means."""

    name: str
    owner: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Standing:
    """An approval given in advance: until a date, the named rules need not ask again."""

    until: str  # the last day, "2027-03-31", where the business hours are
    instead_of: tuple[str, ...]  # ids of rules that require approval


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
    standing: Standing | None = None


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
    parameters: Parameters = ()
    categories: Mapping[str, Category] = field(default_factory=dict)

    @cached_property
    def clauses(self) -> Battery:
        """Every clause, compiled once however many rules share it."""
        texts = [clause for rule in self.rules for clause in rule.when]
        texts += [clause for rule in self.tiers for clause in rule.when]
        return Battery(texts, self.parameters, also=READ_BY_THE_ENGINE)

    def values(self, facts: Facts) -> Values:
        """The facts this document looks at."""
        return self._take(facts)

    def flat_values(self, facts: Mapping[str, object]) -> Values:
        """The same of flat facts, as stored: lists of texts, whole numbers for decimal ones.

        Facts not named have their defaults; facts this document does not look at are not read.
        Raises FactError for a name that is not declared.
        """
        if not facts.keys() <= declared().keys():
            name = min(facts.keys() - declared().keys())
            raise FactError(name, f"'{name}' is not a fact.")
        found = [facts.get(name, default) for name, default in self._defaults]
        for place in self._lists:
            if isinstance(listed := found[place], list):
                found[place] = tuple(listed)
        for place in self._decimals:
            if type(number := found[place]) is int:
                found[place] = float(number)
        return tuple(found)

    @cached_property
    def excluded_roles(self) -> frozenset[str]:
        """Roles whose members do not count somewhere."""
        asked = [spec for rule in self.rules for spec in (*rule.requirements, *rule.adds)]
        asked += [spec for cell in self.matrix.tiers for spec in cell.requirements]
        asked += [spec for item in self.matrix.overrides for spec in item.requirements or ()]
        return frozenset(role for spec in asked for role in spec.excludes)

    @cached_property
    def read_by_the_engine(self) -> tuple[str, ...]:
        """Facts the engine looks at by itself, beside the clauses.

        Whether a request is sampled differs from one to the next; where nothing is sampled, it is
        not looked at.
        """
        cells = {cell.pattern for cell in self.matrix.tiers}
        samples = Pattern.SAMPLED in cells | {item.pattern for item in self.matrix.overrides}
        return READ_BY_THE_ENGINE if samples else READ_BY_THE_ENGINE[:-1]

    @cached_property
    def engine_reads(self) -> itemgetter[Values]:
        """Takes those facts out of the values."""
        names = self.clauses.names
        return itemgetter(*(names.index(name) for name in self.read_by_the_engine))

    @cached_property
    def known_traces(self) -> dict[tuple[object, ...], RuleTrace]:
        """Traces of rules by their clauses' outcomes: most requests look like earlier ones."""
        return {}

    @cached_property
    def known_answers(self) -> dict[tuple[object, ...], Evaluation]:
        """Evaluations by the clauses' outcomes and by what the engine looks at."""
        return {}

    @cached_property
    def _take(self) -> attrgetter[Values]:
        return attrgetter(*self.clauses.names)

    @cached_property
    def _defaults(self) -> tuple[tuple[str, object], ...]:
        return tuple((name, declared()[name].default) for name in self.clauses.names)

    @cached_property
    def _lists(self) -> tuple[int, ...]:
        return self._places(tuple)

    @cached_property
    def _decimals(self) -> tuple[int, ...]:
        return self._places(float)

    def _places(self, kind: type) -> tuple[int, ...]:
        names = enumerate(self.clauses.names)
        return tuple(place for place, name in names if declared()[name].kind is kind)
