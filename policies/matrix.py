"""The risk matrix as data: what each tier asks for, and where an action type asks differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cached_property

from policies import patterns
from policies.verdicts import HIGHEST_TIER, Clocks, RequirementSpec


class OperatingModel(StrEnum):
    """How much the agent does by itself."""

    ASSISTED = "assisted"
    IN_THE_LOOP = "in the loop"
    ON_THE_LOOP = "on the loop"
    CONTROLLED_AUTONOMY = "controlled autonomy"


class Pattern(StrEnum):
    """The shape of the approval, for people to recognise."""

    NO_APPROVAL = "no approval"
    SAMPLED = "sampled"
    EXCEPTION_ONLY = "exception only"
    THRESHOLD = "threshold"
    SINGLE = "single"
    TWO_PEOPLE = "two people"
    TWO_GROUPS = "two groups"
    ORDERED_STAGES = "ordered stages"
    HUMAN_SUPERVISED = "human-supervised"


RUNS_BY_ITSELF = (OperatingModel.ON_THE_LOOP, OperatingModel.CONTROLLED_AUTONOMY)
"""The models under which what policy allows needs nobody."""
SHAPES = (Pattern.SINGLE, Pattern.TWO_PEOPLE, Pattern.TWO_GROUPS, Pattern.ORDERED_STAGES)
"""The patterns that say how many people, of how many groups, in which order."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one tier asks for."""

    requirements: tuple[RequirementSpec, ...]
    evidence: tuple[str, ...]
    clocks: Clocks
    reason_required: bool
    window: str
    operating_model: str
    pattern: str
    sample_percent: int = 0  # of what rules allow, how much goes to people; for "sampled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What one kind of action asks for differently; None leaves the tier's own."""

    tier: int
    action_type: str
    requirements: tuple[RequirementSpec, ...] | None = None
    evidence: tuple[str, ...] | None = None
    clocks: Clocks | None = None
    reason_required: bool | None = None
    window: str | None = None
    operating_model: str | None = None
    pattern: str | None = None
    sample_percent: int | None = None


@dataclass(frozen=True)
class Matrix:
    """One cell for every tier, and the overrides."""

    tiers: tuple[Cell, ...]  # indexed by tier
    overrides: tuple[Override, ...]

    @cached_property
    def _cells(self) -> dict[tuple[int, str], Cell]:
        return {}

    def cell(self, tier: int, action_type: str) -> Cell:
        """The tier's cell as this action type has it; the narrowest override wins."""
        known = self._cells.get((tier, action_type))
        if known is None:
            known = self._resolve(tier, action_type)
            if len(self._cells) < 1_000:  # action types are few; strangers' names are not kept
                self._cells[tier, action_type] = known
        return known

    def people(self, tier: int, action_type: str) -> tuple[RequirementSpec, ...]:
        """Who must say yes; a tier that names nobody borrows from the next one that does."""
        for candidate in range(tier, HIGHEST_TIER + 1):
            requirements = self.cell(candidate, action_type).requirements
            if requirements:
                return requirements
        raise LookupError(f"No tier from {tier} up names anybody.")

    def _resolve(self, tier: int, action_type: str) -> Cell:
        cell = self.tiers[tier]
        chosen = [o for o in self.overrides if o.tier == tier]
        for override in sorted(chosen, key=lambda o: patterns.specificity(o.action_type)):
            if patterns.applies(override.action_type, action_type):
                changes = {f.name: getattr(override, f.name) for f in fields(Cell)}
                cell = replace(cell, **{k: v for k, v in changes.items() if v is not None})
        return cell


def shape_of(requirements: Sequence[RequirementSpec]) -> Pattern:
    """The pattern these requirements make."""
    if len({spec.stage for spec in requirements}) > 1:
        return Pattern.ORDERED_STAGES
    if len(requirements) > 1:
        return Pattern.TWO_GROUPS
    return Pattern.TWO_PEOPLE if requirements[0].quorum > 1 else Pattern.SINGLE
