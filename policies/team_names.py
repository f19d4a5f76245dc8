"""What a requirement may name: a team, somebody looked up when it is routed, or one person.

Policy writes a team by its code ("finance", "dispatch") or says who is to be looked up
("owner:data", "manager:subject"). A stored requirement names a team, or one person ("@ana").
"""

from __future__ import annotations

import re
from collections.abc import Collection

from django.db import models

from policies.roles import ROLES


class OwnerKind(models.TextChoices):
    """What somebody answers for."""

    DATA = "data", "data owner"
    SERVICE = "service", "service owner"
    PROCESS = "process", "process owner"
    REQUESTER = "requester", "requester's team"


CODE = re.compile(r"\A[a-z][a-z0-9-]{1,29}\Z", re.ASCII)
MANAGER_OF_SUBJECT = "manager:subject"
"""The line manager of the person on whose behalf it is asked for."""
_OWNER = "owner:"
OWNERS: tuple[str, ...] = tuple(f"{_OWNER}{kind}" for kind in OwnerKind.values)
LOOKED_UP: tuple[str, ...] = (*OWNERS, MANAGER_OF_SUBJECT)
_NEVER = {role.name for role in ROLES if not role.decides}
_PERSON = "@"
_LONGEST = 40  # characters: the column of a requirement's group


def asked_personally(person: str) -> str:
    """The name a requirement has for one natural person."""
    return f"{_PERSON}{person}"


def may_be_asked_personally(person: str) -> bool:
    """Whether that name fits where it is kept: in a column, between bars, in an address."""
    return len(asked_personally(person)) <= _LONGEST and not set(person) & set("|/")


def person_in(group: str) -> str:
    """The natural person the name stands for; "" for a team's."""
    return group.removeprefix(_PERSON) if group.startswith(_PERSON) else ""


def persons_in(groups: Collection[str]) -> set[str]:
    return {person for group in groups if (person := person_in(group))}


def kind_in(group: str) -> str:
    """Which owner is looked up: "data" of "owner:data"; "" for anything else."""
    return group.removeprefix(_OWNER) if group in OWNERS else ""


def is_team_name(group: str) -> bool:
    """Whether it could be a team's code; which teams there are is asked elsewhere."""
    return bool(CODE.match(group)) and group not in _NEVER


def spoken(group: str) -> str:
    """The name as it reads in a sentence."""
    if kind := kind_in(group):
        return OwnerKind(kind).label
    return "the line manager" if group == MANAGER_OF_SUBJECT else person_in(group) or group
