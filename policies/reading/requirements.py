"""Requirements as a document writes them: who must say yes, who may instead, who never counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from policies.reading.reader import Reader
from policies.requirements import role_above
from policies.roles import DECIDING_ROLES
from policies.verdicts import RequirementSpec


def read_requirements(reader: Reader) -> tuple[RequirementSpec, ...]:
    requirements = reader.each(_requirement, at_most=10)
    refuse_twice((spec.group for spec in requirements), reader, "group")
    return requirements


def read_role(reader: Reader) -> str:
    return reader.one_of(DECIDING_ROLES, what="a role that decides")


def refuse_twice(names: Iterable[str], reader: Reader, what: str) -> None:
    """Note every name that is used more than once."""
    for name, count in Counter(names).items():
        if name and count > 1:
            reader.problem(f"{what} '{name}' is used {count} times; keep one or rename.")


def _requirement(reader: Reader) -> RequirementSpec:
    keys = reader.fields(
        required=("group",),
        optional=(
            "alternatives", "excludes", "quorum", "stage", "within_limit", "escalates_to",
        ),
    )  # fmt: skip
    group = keys.read("group", read_role, "")
    alternatives = keys.read("alternatives", _roles, ())
    excludes = keys.read("excludes", _roles, ())
    escalates_to = keys.read("escalates_to", read_role, role_above(group))
    if group and group in alternatives:
        keys["alternatives"].problem(f"'{group}' is the group itself; name others.")
    for name in {group, *alternatives} & {*excludes}:
        keys["excludes"].problem(f"'{name}' may answer and is excluded; take it out of one.")
    if escalates_to in excludes:
        reader.problem(f"it escalates to '{escalates_to}', which is excluded; name another role.")
    return RequirementSpec(
        group=group,
        quorum=keys.read("quorum", _few, 1),
        stage=keys.read("stage", _few, 1),
        within_limit=keys.read("within_limit", Reader.flag, False),
        escalates_to=escalates_to,
        alternatives=alternatives,
        excludes=excludes,
    )


def _few(reader: Reader) -> int:
    return reader.whole(low=1, high=10)


def _roles(reader: Reader) -> tuple[str, ...]:
    names = reader.each(read_role, at_most=10)
    refuse_twice(names, reader, "role")
    return tuple(filter(None, names))
