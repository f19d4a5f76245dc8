"""Who must say yes, and have they? Pure: requirements and approvals in, progress out.

Several requirements of one group are made one, never weaker than any of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from policies.roles import ANSWERS_TO
from policies.verdicts import RequirementSpec

_SOMEBODY = "\0somebody"  # neither a person nor a group is called that


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes, and the group they said it for."""

    person: str
    group: str
    on_behalf_of: str = ""  # the person who delegated the authority; "" for one's own
    member_of: frozenset[str] = frozenset()  # roles of both, asked only about exclusions
    limit_checked: bool = True  # it may count where a limit must cover the amount

    @property
    def people(self) -> frozenset[str]:
        """Whom it uses up: who said it, and whose authority it was."""
        return frozenset({self.person, self.on_behalf_of} - {""})

    def counts_for(self, spec: RequirementSpec) -> bool:
        """Whether this requirement asks for such a yes, whatever others said."""
        return (
            self.group in spec.groups
            and not (self.member_of | {self.group}) & frozenset(spec.excludes)
            and (self.limit_checked or not spec.within_limit)
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one requirement has come.

    An open one may be decided now: one more yes by somebody of its groups would count. With
    alternatives that can be so although it is met: whoever met it then counts elsewhere.
    """

    spec: RequirementSpec
    met_count: int
    met: bool
    open: bool
    by: tuple[str, ...] = ()  # the persons counted here


def progress(
    requirements: Sequence[RequirementSpec],
    approvals: Iterable[Approval],
    *,
    excluded: Collection[str] = (),
) -> tuple[Progress, ...]:
    """Count approvals, in the order they were given, towards the requirements.

    Nobody counts for more than one requirement, neither by deciding nor by delegating their
    authority: the first approval that uses a person up counts, later ones count nothing. Who
    could count for several requirements is placed where most are met (a maximum matching). A
    later stage counts nothing before the earlier ones are met. The `excluded` persons never
    count. One more approval never takes anything back.
    """
    given = _counted(requirements, approvals, excluded)
    matching = _matched(requirements, given)
    return tuple(
        Progress(
            spec,
            met_count=matching.count(index),
            met=matching.is_met(index),
            open=matching.is_reached(index) and _is_wanted(requirements, given, index),
            by=matching.placed_on(index),
        )
        for index, spec in enumerate(requirements)
    )


def all_met(
    requirements: Sequence[RequirementSpec],
    approvals: Iterable[Approval],
    *,
    excluded: Collection[str] = (),
) -> bool:
    """Whether people have said everything that was asked of them.

    No requirements is not "everything": whoever asks for approval names somebody.
    """
    if not requirements:
        return False
    matching = _matched(requirements, _counted(requirements, approvals, excluded))
    return all(matching.is_met(index) for index in range(len(requirements)))


def unmeetable(
    requirements: Sequence[RequirementSpec], candidates: Sequence[Mapping[str, Collection[str]]]
) -> tuple[int, ...]:
    """The indices of requirements there are too few people for, taken together.

    `candidates` names for each requirement the persons who may answer it, by the role they would
    do so in. One person answers once, and one role never stands in for two: of the ways to share
    the roles out, the one that leaves the fewest wanting counts.
    """
    names = list(dict.fromkeys(spec.group for spec in requirements))
    claims: dict[str, set[str]] = {}
    for spec, roles in zip(requirements, candidates, strict=True):
        for role in roles:
            claims.setdefault(role, set()).add(spec.group)
    contested = sorted(role for role, by in claims.items() if len(by) > 1)
    best: tuple[int, ...] | None = None
    for shares in product(names, repeat=len(contested)):
        holder = dict(zip(contested, shares, strict=True))
        found = _wanting(
            requirements,
            [
                {p for role, people in roles.items() for p in people
                 if holder.get(role, spec.group) == spec.group}
                for spec, roles in zip(requirements, candidates, strict=True)
            ],
        )  # fmt: skip
        if best is None or len(found) < len(best):
            best = found
    return best or ()


def _wanting(
    requirements: Sequence[RequirementSpec], people: Sequence[Collection[str]]
) -> tuple[int, ...]:
    """Which requirements stay short when everybody who may answer them does."""
    places = [
        replace(spec, group=str(index), stage=1, alternatives=(), excludes=())
        for index, spec in enumerate(requirements)
    ]
    said = [
        Approval(person, str(index))
        for index, persons in enumerate(people)
        for person in sorted(persons)
    ]
    matching = _matched(places, said)
    return tuple(index for index in range(len(places)) if not matching.is_met(index))


def _counted(
    requirements: Sequence[RequirementSpec],
    approvals: Iterable[Approval],
    excluded: Collection[str],
) -> list[Approval]:
    """The approvals that may count: asked for, by nobody excluded, by nobody used up before."""
    result: list[Approval] = []
    used: dict[str, Approval] = {}
    for approval in approvals:
        if approval.people & frozenset(excluded):
            continue
        if not any(approval.counts_for(spec) for spec in requirements):
            continue
        # the same person may say it for another of their own groups; that is still one person
        before = [used[person] for person in approval.people if person in used]
        if any(one.people != approval.people or one.person != approval.person for one in before):
            continue
        used.update(dict.fromkeys(approval.people, approval))
        result.append(approval)
    return result


def _matched(requirements: Sequence[RequirementSpec], given: Iterable[Approval]) -> _Matching:
    matching = _Matching(requirements)
    for approval in given:
        matching.add(approval)
    return matching


def _is_wanted(
    requirements: Sequence[RequirementSpec], given: Sequence[Approval], index: int
) -> bool:
    """Whether one more yes for this very requirement, by somebody new, would count."""
    somebody = Approval(_SOMEBODY, _SOMEBODY)
    asked = list(requirements)
    asked[index] = replace(asked[index], group=_SOMEBODY, alternatives=asked[index].groups)
    return _matched(asked, [*given, somebody]).total > _matched(asked, given).total


class _Matching:
    """People placed on requirements, improved by augmenting paths as approvals arrive."""

    def __init__(self, requirements: Sequence[RequirementSpec]) -> None:
        self._specs = requirements
        self._said: dict[str, list[Approval]] = {}  # person -> what they said
        self._placed: dict[str, int] = {}  # person -> requirement they count for

    def add(self, approval: Approval) -> None:
        self._said.setdefault(approval.person, []).append(approval)
        # Filling a stage opens the next, where people already waiting may count at once.
        while any(self._fill(index) for index in self._by_stage()):
            continue

    @property
    def total(self) -> int:
        return len(self._placed)

    def count(self, index: int) -> int:
        return len(self.placed_on(index))

    def placed_on(self, index: int) -> tuple[str, ...]:
        return tuple(sorted(person for person, at in self._placed.items() if at == index))

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
        for person, said in self._said.items():
            if person in tried or not any(one.counts_for(self._specs[index]) for one in said):
                continue
            tried.add(person)
            held = self._placed.get(person)
            if held == index:
                continue
            if held is None or self._find_person_for(held, tried):
                self._placed[person] = index
                return True
        return False


def merged_requirements(specs: Iterable[RequirementSpec]) -> tuple[RequirementSpec, ...]:
    """One requirement per group, each as strict as all that name the group together.

    Whoever counts for the merged one counts for each of them: alternatives are what they have in
    common, and who is excluded by one is excluded.
    """
    result: dict[str, RequirementSpec] = {}
    for spec in specs:
        other = result.get(spec.group)
        result[spec.group] = spec if other is None else _both(other, spec)
    return tuple(result.values())


def role_above(role: str) -> str:
    """Who is asked when this role does not answer; the top of the ladder is asked again."""
    return ANSWERS_TO.get(role, role)


def _both(first: RequirementSpec, second: RequirementSpec) -> RequirementSpec:
    excludes = tuple(dict.fromkeys((*first.excludes, *second.excludes)))
    return replace(
        first,
        quorum=max(first.quorum, second.quorum),
        stage=max(first.stage, second.stage),
        within_limit=first.within_limit or second.within_limit,
        escalates_to=_higher(first.escalates_to, second.escalates_to),
        alternatives=tuple(
            group
            for group in first.alternatives
            if group in second.alternatives and group not in excludes
        ),
        excludes=excludes,
    )


def _higher(first: str, second: str) -> str:
    """The one further up the ladder; the first where neither answers to the other.

    A team somebody named counts before the one above whoever will be asked.
    """
    if not first or not second:
        return first or second
    above = first
    while above in ANSWERS_TO:
        above = ANSWERS_TO[above]
        if above == second:
            return second
    return first
