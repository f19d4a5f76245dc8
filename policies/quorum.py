"""Are the requirements met? Pure: requirements and approvals in, progress out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policies.verdicts import RequirementSpec


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes, and the group they said it for."""

    person: str
    group: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one requirement has come. Only an open one may be decided now."""

    spec: RequirementSpec
    met_count: int
    met: bool
    open: bool


def progress(
    requirements: Sequence[RequirementSpec], approvals: Iterable[Approval]
) -> tuple[Progress, ...]:
    """Count approvals, in the order they were given, towards the requirements.

    Nobody counts for more than one requirement, so two groups mean two people; who could count for
    several is placed where most requirements are met (a maximum matching). A later stage counts
    nothing before the earlier ones are met. One more approval never takes anything back.
    """
    matching = _Matching(requirements)
    for approval in approvals:
        matching.add(approval)
    return tuple(
        Progress(
            spec,
            met_count=matching.count(index),
            met=matching.is_met(index),
            open=not matching.is_met(index) and matching.is_reached(index),
        )
        for index, spec in enumerate(requirements)
    )


def all_met(requirements: Sequence[RequirementSpec], approvals: Iterable[Approval]) -> bool:
    """Whether people have said everything that was asked of them.

    No requirements is not "everything": whoever asks for approval names somebody.
    """
    found = progress(requirements, approvals)
    return bool(found) and all(one.met for one in found)


class _Matching:
    """People placed on requirements, improved by augmenting paths as approvals arrive."""

    def __init__(self, requirements: Sequence[RequirementSpec]) -> None:
        self._specs = requirements
        self._groups: dict[str, set[str]] = {}  # person -> groups they approved for
        self._placed: dict[str, int] = {}  # person -> requirement they count for

    def add(self, approval: Approval) -> None:
        self._groups.setdefault(approval.person, set()).add(approval.group)
        # Filling a stage opens the next, where people already waiting may count at once.
        while any(self._fill(index) for index in self._by_stage()):
            continue

    def count(self, index: int) -> int:
        return sum(1 for placed in self._placed.values() if placed == index)

    def is_met(self, index: int) -> bool:
        return self.count(index) >= self._specs[index].quorum

    def is_reached(self, index: int) -> bool:
        stage = self._specs[index].stage
        return all(self.is_met(i) for i, spec in enumerate(self._specs) if spec.stage < stage)

    def _by_stage(self) -> list[int]:
        return sorted(range(len(self._specs)), key=lambda index: self._specs[index].stage)

    def _fill(self, index: int) -> bool:
        if self.is_met(index) or not self.is_reached(index):
            return False
        return self._find_person_for(index, set())

    def _find_person_for(self, index: int, tried: set[str]) -> bool:
        """Place a free person here, or move one whose place somebody else can take."""
        for person, groups in self._groups.items():
            if person in tried or self._specs[index].group not in groups:
                continue
            tried.add(person)
            held = self._placed.get(person)
            if held == index:
                continue
            if held is None or self._find_person_for(held, tried):
                self._placed[person] = index
                return True
        return False
