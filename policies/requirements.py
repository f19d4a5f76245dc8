"""Several requirements of one group made one, never weaker than any of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from policies.roles import ANSWERS_TO
from policies.verdicts import RequirementSpec


def merged(specs: Iterable[RequirementSpec]) -> tuple[RequirementSpec, ...]:
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
    """The one further up the ladder; the first where neither answers to the other."""
    above = first
    while above in ANSWERS_TO:
        above = ANSWERS_TO[above]
        if above == second:
            return second
    return first
