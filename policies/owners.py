"""Who is meant: requirements with everybody who is looked up named, and the team above each.

One statement, and none where policy names built-in teams only. What is found here is stored with
the requirement, so that another owner tomorrow changes nothing about what was asked today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.db.models import CharField, Q, QuerySet, Value

from policies.models import Ownership, Team, User
from policies.models.people import person_key
from policies.quorum import merged_requirements, role_above
from policies.roles import DECIDING_ROLES, MANAGER
from policies.team_names import (
    LOOKED_UP,
    MANAGER_OF_SUBJECT,
    OwnerKind,
    asked_personally,
    kind_in,
    may_be_asked_personally,
    spoken,
)
from policies.verdicts import RequirementSpec

EVERY_SYSTEM = "*"
_ANY = "*"  # at the end of a pattern: whatever begins like it


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """What a requirement is about, as far as it says who is asked."""

    system: str
    target: str
    subject: str = ""
    """On whose behalf, as the agent spells it."""
    team: str = ""
    """The agent's; it is the requester's team where nobody else is on record."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One requirement with its people named."""

    spec: RequirementSpec
    looked_up: tuple[str, ...] = ()
    """What policy calls those who were looked up, and who that is: "owner:data=dispatch"."""
    problem: str = ""
    """Why nobody could be found."""

    @property
    def asked_as(self) -> str:
        """What policy calls whom it asks first: "owner:data"; the team where it names that."""
        found = dict(pair.split("=", 1) for pair in self.looked_up)
        return next((n for n, who in found.items() if who == self.spec.group), self.spec.group)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who is on record, and by which entry."""

    group: str  # as a requirement names them
    pattern: str = ""
    system: str = ""
    above: str = ""  # who has what they leave undecided


def resolved(specs: Sequence[RequirementSpec], concern: Concern) -> list[Asked]:
    """The requirements with teams and persons instead of who is to be looked up.

    Two that lead to one team are one that asks as many people as both did.
    """
    return as_named(specs, concern, {})


def as_named(
    specs: Sequence[RequirementSpec], concern: Concern, known: Mapping[str, str]
) -> list[Asked]:
    """`resolved`, where some were looked up before: what policy calls them -> who that is."""
    wanted = {name for spec in specs for name in spec.groups if name in LOOKED_UP}
    found = {name: Owner(group) for name, group in known.items() if name in wanted}
    record = _Record()
    if wanted - found.keys() or any(not spec.escalates_to for spec in specs):
        record = _read(concern, wanted - found.keys())
        found |= record.owners
    asked = [_named(spec, found, record, concern) for spec in specs]
    if not wanted:
        return asked
    by_group: dict[str, list[Asked]] = {}
    for one in asked:
        by_group.setdefault(one.spec.group, []).append(one)
    return [_together(same) for same in by_group.values()]


def owners_of(system: str, target: str) -> dict[str, Owner]:
    """Everybody on record for a target, by what policy calls them."""
    names = {f"owner:{kind}" for kind in OwnerKind.values}
    return _read(Concern(system=system, target=target), names).owners


def _named(
    spec: RequirementSpec, found: Mapping[str, Owner], record: _Record, concern: Concern
) -> Asked:
    """One requirement; a name nobody is on record for stays, and is nobody's."""
    looked_up = tuple(f"{name}={found[name].group}" for name in spec.groups if name in found)
    names = [found[name].group if name in found else name for name in spec.groups]
    # where others may answer as well, those on no record are not waited for
    group, *others = dict.fromkeys([n for n in names if n not in LOOKED_UP] or names)
    above = spec.escalates_to
    if not above:
        owner = found.get(spec.group)
        above = (owner.above if owner else "") or record.above(group)
    problem = ""
    if group in LOOKED_UP:
        problem = _nobody(group, concern)
    named = replace(spec, group=group, alternatives=tuple(others), escalates_to=above)
    return Asked(named, looked_up, problem)


def _nobody(name: str, concern: Concern) -> str:
    if name == MANAGER_OF_SUBJECT and not concern.subject:
        return "It is on nobody's behalf, so there is no line manager to ask."
    if name == MANAGER_OF_SUBJECT:
        return f"Nobody is on record as line manager of {concern.subject}."[:300]
    return f"Nobody is on record as {spoken(name)} of {concern.target} in {concern.system}."[:300]


def _together(same: Sequence[Asked]) -> Asked:
    """Policy asked for each of them, so as many people are asked."""
    if len(same) == 1:
        return same[0]
    (spec,) = merged_requirements(one.spec for one in same)
    looked_up = tuple(dict.fromkeys(name for one in same for name in one.looked_up))
    quorum = sum(one.spec.quorum for one in same)
    return Asked(replace(spec, quorum=quorum), looked_up, same[0].problem)


# --- What is on record ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Record:
    """Teams and owners, as one statement found them."""

    owners: dict[str, Owner] = field(default_factory=dict)
    teams: dict[str, str] = field(default_factory=dict)
    """Teams a company made -> the team above."""

    def above(self, group: str) -> str:
        """The team above a team; managers above everybody else."""
        if group in DECIDING_ROLES:
            return role_above(group)
        return self.teams.get(group) or MANAGER


_Row = tuple[str, str, str, str, str, str | None, str | None]


def _read(concern: Concern, names: set[str]) -> _Record:
    record = _Record()
    entries: list[_Row] = []
    managers: list[tuple[str | None, str | None]] = []
    for row in _rows(concern, names):
        what, key, above, *_ = row
        if what == "team":
            record.teams[key] = above
        elif what == "owner":
            entries.append(row)
        else:
            managers.append(row[5:7])
    for row in sorted(entries, key=_width):  # the narrowest comes last, and counts
        _, kind, system, pattern, team, person, manager = row
        group = team or _personal(person)
        above = record.above(group) if team else _personal(manager)
        if group:
            record.owners[f"owner:{kind}"] = Owner(group, pattern, system, above)
    requester = f"owner:{OwnerKind.REQUESTER}"
    if requester in names and requester not in record.owners and concern.team:
        record.owners[requester] = Owner(concern.team, above=record.above(concern.team))
    # several people of one name have no manager between them
    if len({person for person, _ in managers}) == 1:
        found = {manager for _, manager in managers if manager}
        if len(found) == 1 and (group := _personal(*found)):
            record.owners[MANAGER_OF_SUBJECT] = Owner(group)
    return record


def _rows(concern: Concern, names: set[str]) -> Iterable[_Row]:
    text = CharField()
    blank = {f"blank_{n}": Value("", output_field=text) for n in range(4)}

    def values(rows: QuerySet[Team] | QuerySet[Ownership] | QuerySet[User], what: str, *of: str):  # type: ignore[no-untyped-def]
        said = rows.order_by().annotate(what=Value(what, output_field=text), **blank)
        return said.values_list("what", *of)

    asked = values(Team.objects.all(), "team", "code", "escalates_to", *blank)
    kinds = [kind for name in names if (kind := kind_in(name))]
    if kinds:
        owners = Ownership.objects.filter(
            ended_at=None,
            kind__in=kinds,
            system__in=(concern.system, EVERY_SYSTEM),
            pattern__in=patterns_of(concern.target),
        )
        manager = "person__line_manager__person"
        of = ("kind", "system", "pattern", "team", "person__person", manager)
        asked = asked.union(values(owners, "owner", *of), all=True)
    if MANAGER_OF_SUBJECT in names and concern.subject:
        subject = concern.subject
        named = (
            Q(username__iexact=subject) | Q(email__iexact=subject) | Q(person=person_key(subject))
        )
        people = User.objects.filter(named)
        both = ("person", "line_manager__person")
        asked = asked.union(values(people, "manager", *blank, *both), all=True)
    rows: Iterable[_Row] = asked
    return rows


def patterns_of(target: str) -> list[str]:
    """Every pattern that means the target: itself, and each of its beginnings."""
    return [target, *(f"{target[:end]}{_ANY}" for end in range(len(target) + 1))]


def _width(row: _Row) -> tuple[bool, bool, int]:
    """An entry for the system before one for all, the target itself before its beginnings."""
    _, _, system, pattern, *_ = row
    return system != EVERY_SYSTEM, not pattern.endswith(_ANY), len(pattern)


def _personal(person: str | None) -> str:
    return asked_personally(person) if person and may_be_asked_personally(person) else ""
