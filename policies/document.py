"""A policy document as typed values, and what it says about a moment. Pure: no clock.

`policies.parsing.parser` makes it of the YAML. Business hours, open windows and freezes are facts
like any other. A floor is a document too: rules of security's own, evaluated with every version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from policies.cel.compiler import Parameters
from policies.cel.rule_set import RuleSet, Scoped
from policies.facts import WEEKDAYS, Facts, TimeFacts
from policies.matrix import Cell, Matrix, OperatingModel, Pattern
from policies.triggers import Trigger
from policies.verdicts import HIGHEST_TIER, Deadlines, RequirementSpec, Verdict
from policies.windows import Freeze, Window, is_open, next_opening

READ_BY_THE_ENGINE = (
    "action.type",
    "action.reversibility",
    "action.rate_known",
    "evidence.preview_available",
    "action.supervised",
    "evidence.kinds",
    "evidence.from_people",
    "evidence.supplied",
    "evidence.flags",
    "action.sample",
    "plan.highest_tier",
    "plan.verdict",
    "action.triggers",
    "action.execution",
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

    One that names action types (`on`) has their clause first, and may look into the case.
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
    on: tuple[str, ...] = ()


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
    triggers: tuple[Trigger, ...] = ()
    parameters: Parameters = ()
    categories: Mapping[str, Category] = field(default_factory=dict)
    is_floor: bool = False
    floor: Document | None = None
    """What is evaluated with it, and what it cannot weaken."""
    floor_label: str = ""

    @property
    def floor_rules(self) -> tuple[Rule, ...]:
        return self.floor.rules if self.floor else ()

    @property
    def floor_tiers(self) -> tuple[TierRule, ...]:
        return self.floor.tiers if self.floor else ()

    def under(self, floor: Document, label: str) -> Document:
        """This document with that floor below it: one set of rules, compiled together."""
        return replace(self, floor=floor, floor_label=label)

    @cached_property
    def alone(self) -> Document:
        """A floor below a policy that would allow everything: what it says by itself."""
        return _ALLOWS_ALL.under(self, "")

    @cached_property
    def rule_set(self) -> RuleSet:
        """Every clause, compiled."""
        rules = (*self.rules, *self.floor_rules)
        general = [clause for rule in (*self.tiers, *self.floor_tiers) for clause in rule.when]
        general += [clause for rule in rules for clause in rule.when[: 1 if rule.on else None]]
        scoped = [Scoped(rule.on, rule.when[1:]) for rule in rules if rule.on]
        return RuleSet(general, self.parameters, also=READ_BY_THE_ENGINE, scoped=scoped)

    @cached_property
    def excluded_roles(self) -> frozenset[str]:
        """Roles whose members do not count somewhere."""
        rules = (*self.rules, *self.floor_rules)
        asked = [spec for rule in rules for spec in (*rule.requirements, *rule.adds)]
        asked += [spec for cell in self.matrix.tiers for spec in cell.requirements]
        asked += [spec for item in self.matrix.overrides for spec in item.requirements or ()]
        return frozenset(role for spec in asked for role in spec.excludes)


_ASKS_NOBODY = Cell(
    requirements=(),
    evidence=(),
    deadlines=Deadlines(decide_by=timedelta(hours=1), execute_by=timedelta(hours=2)),
    reason_required=False,
    window="",
    operating_model=OperatingModel.ON_THE_LOOP,
    pattern=Pattern.NO_APPROVAL,
)
_SECURITY = RequirementSpec("security")

ASKS_SECURITY = Matrix(
    tiers=(*[_ASKS_NOBODY] * HIGHEST_TIER, replace(_ASKS_NOBODY, requirements=(_SECURITY,))),
    overrides=(),
)
"""A floor has no matrix: by itself, security stands for whoever the policy would ask."""

_SILENT = "The floor says nothing."

_ALLOWS_ALL = Document(
    digest="",
    rules=(Rule("everything-else", "security", _SILENT, ("true",), Verdict.ALLOW),),
    tiers=(TierRule(0, _SILENT, ("true",)),),
    matrix=ASKS_SECURITY,
    windows={},
    tests=(),
)


def time_facts(document: Document, action_type: str, now: datetime) -> TimeFacts:
    """The facts about time for one kind of action.

    A document without business hours is always within them, and its date is the one in UTC.
    """
    hours = document.business_hours
    local = now.astimezone(ZoneInfo(hours.tz) if hours else UTC)
    return TimeFacts(
        today=local.date().isoformat(),
        month_ago=(local.date() - timedelta(days=30)).isoformat(),
        weekday=WEEKDAYS[local.weekday()],
        hour=local.hour,
        business_hours=hours is None or is_open(hours, now),
        open_windows=tuple(n for n, window in document.windows.items() if is_open(window, now)),
        freezes=tuple(freeze.name for freeze in freezes_on(document, action_type, now)),
    )


def freezes_on(document: Document, action_type: str, now: datetime) -> tuple[Freeze, ...]:
    """The freezes that hold this kind of action back now."""
    return tuple(freeze for freeze in document.freezes if freeze.covers(action_type, now))


def may_begin_at(
    document: Document, window: str, action_type: str, now: datetime
) -> datetime | None:
    """When execution may begin, in UTC: now if nothing holds it back.

    None when the document has no such window: nobody says when it would be open.
    """
    if window and window not in document.windows:
        return None
    at = now.astimezone(UTC)
    while True:  # ends: a freeze that was waited for does not come back
        if window:
            at = next_opening(document.windows[window], at)
        freezes = freezes_on(document, action_type, at)
        if not freezes:
            return at
        at = max(freeze.ends_at for freeze in freezes)
