"""Requirements nobody can meet, given who there is: found when a document is saved, not at night.

Pure; `policies.services.publishable` gathers the people.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from policies import patterns
from policies.cel.intervals import Region
from policies.document import Document, Rule
from policies.matrix import guarded
from policies.patterns import EVERY
from policies.quorum import merged_requirements, unmeetable
from policies.roles import ANSWERS_TO, NEVER_DECIDE
from policies.static_analysis.findings import Finding, Severity
from policies.static_analysis.wording import cell_name, requirement
from policies.team_names import LOOKED_UP
from policies.verdicts import RequirementSpec, Verdict


@dataclass(frozen=True, slots=True)
class Member:
    """One natural person: the roles their active accounts decide in, and what excludes them."""

    person: str
    decides_in: frozenset[str]
    roles: frozenset[str]  # of all their accounts


@dataclass(frozen=True, slots=True)
class HeldLimit:
    """One approval limit, and whose it is: a person's, or a role's."""

    person: str
    group: str
    action_type: str
    currency: str
    each_minor: int

    def is_held_by(self, member: Member) -> bool:
        return self.person == member.person or (bool(self.group) and self.group in member.roles)


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who may decide something, and up to which amounts."""

    members: tuple[Member, ...] = ()
    limits: tuple[HeldLimit, ...] = field(default=())
    answers_to: Mapping[str, str] = field(default_factory=lambda: ANSWERS_TO)

    def able(
        self, spec: RequirementSpec, group: str, action_types: Collection[str]
    ) -> frozenset[str]:
        """Who may answer the requirement as a member of the group."""
        barred = NEVER_DECIDE | frozenset(spec.excludes)
        return frozenset(
            member.person
            for member in self.members
            if group in member.decides_in
            and not member.roles & barred
            and (not spec.within_limit or self._has_limit(member, action_types))
        )

    def _has_limit(self, member: Member, action_types: Collection[str]) -> bool:
        return any(
            limit.is_held_by(member)
            and limit.each_minor > 0
            and (
                not action_types
                or any(patterns.applies(limit.action_type, key) for key in action_types)
            )
            for limit in self.limits
        )


def out_of_reach(
    document: Document,
    people: People,
    regions: Mapping[str, Region],
    action_types: Collection[str],
) -> Iterator[Finding]:
    """Cells and rules that ask for more people than there are."""
    for tier, cell in enumerate(document.matrix.tiers):
        yield from _check(cell_name(tier), cell.requirements, people, action_types)
    for override in document.matrix.overrides:
        covered = [k for k in action_types if patterns.applies(override.action_type, k)]
        what = cell_name(override.tier, override.action_type)
        yield from _check(what, override.requirements or (), people, covered)
    for rule in document.rules:
        if rule.effect != Verdict.REQUIRE_APPROVAL or regions[rule.id].contradiction:
            continue
        types = _types_of(regions[rule.id], action_types)
        yield from _check(f"rule {rule.id}", _asked_by(document, rule), people, types)


def _asked_by(document: Document, rule: Rule) -> tuple[RequirementSpec, ...]:
    """Everybody a matching rule asks for at least; nobody when it leaves that to the matrix."""
    if not rule.requirements and not rule.adds:
        return ()
    tiers: tuple[RequirementSpec, ...] = ()
    if guarded(document.matrix.cell(rule.tier, EVERY), rule.tier).always_people:
        tiers = document.matrix.people(rule.tier, EVERY)
    return merged_requirements([*tiers, *rule.requirements, *rule.adds])


def _types_of(region: Region, action_types: Collection[str]) -> Collection[str]:
    span = region.spans.get("action.type")
    if span is None:
        return action_types
    return [key for key in action_types if span.holds(key)]


def _check(
    what: str,
    specs: Sequence[RequirementSpec],
    people: People,
    action_types: Collection[str],
) -> Iterator[Finding]:
    # who is looked up when something is routed, nobody knows now
    specs = [spec for spec in specs if not set(spec.groups) & set(LOOKED_UP)]
    candidates = [
        {group: people.able(spec, group, action_types) for group in spec.groups} for spec in specs
    ]
    for index in unmeetable(specs, candidates):
        spec, able = specs[index], frozenset().union(*candidates[index].values())
        climbs = spec.within_limit and not able and _climbs(spec, people, action_types)
        if climbs:
            sentence = (
                f"nobody in {' or '.join(spec.groups)} has a limit for it, so it goes to "
                f"{climbs} at once."
            )
            yield Finding(Severity.WARNING, "climbs_at_once", what, sentence)
            continue
        yield Finding(
            Severity.ERROR,
            "nobody_can_meet",
            what,
            f"nobody can meet '{requirement(spec)}': {_who(spec, len(able), len(specs))}",
        )


def _climbs(spec: RequirementSpec, people: People, action_types: Collection[str]) -> str:
    """The first role above the group where somebody has a limit; empty when none has."""
    role = people.answers_to.get(spec.group, "")
    while role:
        if len(people.able(spec, role, action_types)) >= spec.quorum:
            return role
        role = people.answers_to.get(role, "")
    return ""


def _who(spec: RequirementSpec, able: int, together: int) -> str:
    limit = " with a limit for it" if spec.within_limit else ""
    if able >= spec.quorum and together > 1:
        return "the same people are needed for the other requirements too. Add people."
    count = "nobody" if able == 0 else f"only {able} of {spec.quorum}"
    return f"there is {count} in {' or '.join(spec.groups)}{limit}. Add people or change it."
