"""The risk matrix as data: what each tier asks for, and where an action type asks differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from policies import patterns
from policies.evidence import EvidenceDemand
from policies.patterns import EVERY
from policies.verdicts import HIGHEST_TIER, Deadlines, RequirementSpec


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Safeguards:
    """What a tier asks for whoever decides."""

    people: bool = False
    """Its entry names people: whatever sends an action to a person must find one."""
    reason_required: bool = False
    """Approving takes a reason."""
    always_people: bool = False
    """Nothing runs by itself, and what rules ask comes on top of the tier's own people."""
    step_up: bool = False
    """Deciding takes a fresh proof of identity."""
    sign_off: bool = False
    """An accountable person closes the record of what was done."""
    confirm_facts: bool = False
    """Whoever approves ticks what made policy ask; no document switches it on or off."""


SWITCHES = ("reason_required", "always_people", "step_up", "sign_off")
"""What an entry of the matrix may switch on."""

_HIGH = Safeguards(
    people=True,
    reason_required=True,
    always_people=True,
    step_up=True,
    sign_off=True,
    confirm_facts=True,
)
SAFEGUARDS = (
    Safeguards(),
    Safeguards(),
    Safeguards(people=True),
    Safeguards(people=True, reason_required=True, confirm_facts=True),
    _HIGH,
    _HIGH,
)
"""By tier: what holds when an entry says nothing, and the least it may say. A document may ask for
more, on any tier; the checks refuse one that says less, and reading it never gives less."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one tier asks for."""

    requirements: tuple[RequirementSpec, ...]
    evidence: tuple[EvidenceDemand, ...]
    deadlines: Deadlines
    reason_required: bool
    window: str
    operating_model: str
    pattern: str
    sample_percent: int = 0  # of what rules allow, how much goes to people; for "sampled"
    always_people: bool = False
    step_up: bool = False
    sign_off: bool = False
    recall_seconds: int = 0
    """How long whoever approved may take it back, before anything is carried out; 0 for never.

    Up to a week: some seconds to think again, or days to cool off.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What one kind of action asks for differently; None leaves the tier's own."""

    tier: int
    action_type: str
    requirements: tuple[RequirementSpec, ...] | None = None
    evidence: tuple[EvidenceDemand, ...] | None = None
    deadlines: Deadlines | None = None
    reason_required: bool | None = None
    window: str | None = None
    operating_model: str | None = None
    pattern: str | None = None
    sample_percent: int | None = None
    always_people: bool | None = None
    step_up: bool | None = None
    sign_off: bool | None = None
    recall_seconds: int | None = None


@dataclass(frozen=True)
class Matrix:
    """One cell for every tier, and the overrides."""

    tiers: tuple[Cell, ...]  # indexed by tier
    overrides: tuple[Override, ...]

    @cached_property
    def _cells(self) -> dict[tuple[int, str], Cell]:
        """By tier and by every pattern an override is for."""
        named = {override.action_type for override in self.overrides}
        return {
            (tier, pattern): self._resolve(tier, pattern)
            for tier in range(len(self.tiers))
            for pattern in named
        }

    def cell(self, tier: int, action_type: str) -> Cell:
        """The tier's cell as this action type has it; the narrowest override wins."""
        family = f"{action_type.partition('.')[0]}.*" if "." in action_type else EVERY
        for pattern in (action_type, family, EVERY):
            cell = self._cells.get((tier, pattern))
            if cell is not None:
                return cell
        return self.tiers[tier]

    def people(self, tier: int, action_type: str) -> tuple[RequirementSpec, ...]:
        """Who must say yes; a tier that names nobody borrows from the next one that does."""
        for candidate in range(tier, HIGHEST_TIER + 1):
            requirements = self.cell(candidate, action_type).requirements
            if requirements:
                return requirements
        raise LookupError(f"No tier from {tier} up names anybody.")

    def _resolve(self, tier: int, pattern: str) -> Cell:
        cell = self.tiers[tier]
        chosen = [o for o in self.overrides if o.tier == tier]
        for override in sorted(chosen, key=lambda o: patterns.specificity(o.action_type)):
            if patterns.applies(override.action_type, pattern):
                changes = {f.name: getattr(override, f.name) for f in fields(Cell)}
                cell = replace(cell, **{k: v for k, v in changes.items() if v is not None})
        return cell

    def unguarded(self, tier: int, action_type: str) -> tuple[str, ...]:
        """The tier's safeguards that the document switches off for such an action."""
        cell, floor = self.cell(tier, action_type), SAFEGUARDS[tier]
        return tuple(n for n in SWITCHES if getattr(floor, n) and not getattr(cell, n))


def guarded(cell: Cell, tier: int) -> Cell:
    """The cell with its tier's safeguards, whatever it says."""
    floor = SAFEGUARDS[tier]
    absent: dict[str, Any] = {
        n: True for n in SWITCHES if getattr(floor, n) and not getattr(cell, n)
    }
    return replace(cell, **absent) if absent else cell


def shape_of(requirements: Sequence[RequirementSpec]) -> Pattern:
    """The pattern these requirements make."""
    if len({spec.stage for spec in requirements}) > 1:
        return Pattern.ORDERED_STAGES
    if len(requirements) > 1:
        return Pattern.TWO_GROUPS
    return Pattern.TWO_PEOPLE if requirements[0].quorum > 1 else Pattern.SINGLE
