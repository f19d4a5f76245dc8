"""Who answers for what, and who manages whom: proposed by one ops admin, agreed to by another.

Whoever is on record may decide what policy asks of owners and line managers, so every change of
the record takes two people. What has been routed asks whom it asked.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record, save_with_history, stream
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, Ownership, User
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    person_of,
    propose_change,
    require_reason,
)
from policies.team_names import OwnerKind, may_be_asked_personally
from policies.teams import team_codes

OWNERS = "owners.set"
LINE_MANAGERS = "line_managers.set"
MOST_ROWS = 2_000
_MOST_PROBLEMS = 20
_LONGEST = {"system": 40, "target": 200}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """One line of the record: a team's code or a user name, neither to end what is on record."""

    system: str
    target: str
    kind: str
    team: str = ""
    person: str = ""

    def __str__(self) -> str:
        who = self.team or self.person or "nobody"
        return f"{who} is {OwnerKind(self.kind).label} of {self.system} {self.target}"


@dataclass(frozen=True, slots=True)
class ManagerRow:
    """Who manages whom, by user name; an empty manager for nobody."""

    person: str
    manager: str = ""

    def __str__(self) -> str:
        return f"{self.manager or 'nobody'} is line manager of {self.person}"


@transaction.atomic
def set_owners(
    rows: Sequence[OwnerRow], *, actor: Actor, reason: str
) -> AuthorityChange | list[Ownership]:
    """Put these on record; what is on record for the same target and kind ends.

    From a person it waits for a second one. All rows are checked, and all that is wrong is said at
    once. Raises PolicyError: not_ops_admin, reason_missing, bad_rows, already_waiting.
    """
    check_may_configure(actor)
    require_reason(reason)
    _owners(rows)
    if actor.kind == ActorKind.SYSTEM:
        return _set_owners(rows, actor=actor, reason=reason)
    return propose_change(
        OWNERS,
        {"rows": [[r.system, r.target, r.kind, r.team, r.person] for r in rows], "reason": reason},
        actor=actor,
        summary=_summary(rows),
        reason=reason,
    )


@carries_out(OWNERS)
def _owners_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    rows = [OwnerRow(*row) for row in cast("list[list[str]]", payload["rows"])]
    persons = {user.person for _, user in _owners(rows) if user is not None}
    _refuse_own(persons, proposer, actor)
    _set_owners(rows, actor=actor, reason=str(payload["reason"]), proposer=proposer)


@transaction.atomic
def set_line_managers(
    rows: Sequence[ManagerRow], *, actor: Actor, reason: str
) -> AuthorityChange | list[User]:
    """Say who manages whom. From a person it waits for a second one.

    Raises PolicyError: not_ops_admin, reason_missing, bad_rows, already_waiting.
    """
    check_may_configure(actor)
    require_reason(reason)
    _managers(rows)
    if actor.kind == ActorKind.SYSTEM:
        return _set_managers(rows, actor=actor, reason=reason)
    return propose_change(
        LINE_MANAGERS,
        {"rows": [[row.person, row.manager] for row in rows], "reason": reason},
        actor=actor,
        summary=_summary(rows),
        reason=reason,
    )


@carries_out(LINE_MANAGERS)
def _managers_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    rows = [ManagerRow(*row) for row in cast("list[list[str]]", payload["rows"])]
    persons = {manager.person for _, manager in _managers(rows) if manager is not None}
    _refuse_own(persons, proposer, actor)
    _set_managers(rows, actor=actor, reason=str(payload["reason"]), proposer=proposer)


def read_owners(text: str) -> list[OwnerRow]:
    """Owners from CSV with the columns system, target, kind, team and person, in any order.

    Raises PolicyError: bad_rows.
    """
    return _read(text, ("system", "target", "kind", "team", "person"), OwnerRow)


def read_line_managers(text: str) -> list[ManagerRow]:
    """Line managers from CSV with the columns person and manager. Raises PolicyError: bad_rows."""
    return _read(text, ("person", "manager"), ManagerRow)


def _read(text: str, columns: Sequence[str], make: Callable[..., T]) -> list[T]:
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), strict=True)
    try:
        named = [name.strip() for name in reader.fieldnames or ()]
        if sorted(named) != sorted(columns):
            raise _bad([f"The first line must name the columns {', '.join(columns)}."])
        reader.fieldnames = named
        rows = list(reader)
    except csv.Error as error:
        raise _bad([f"Line {reader.line_num}: this is no CSV ({error})."]) from error
    uneven = [n for n, row in enumerate(rows, 2) if None in row or None in row.values()]
    if uneven:
        raise _bad([f"Line {n}: it has more or fewer columns than the first line." for n in uneven])
    return [make(*(row[name].strip() for name in columns)) for row in rows]


# --- Checking: every row, and all that is wrong at once -------------------------------------------


def _owners(rows: Sequence[OwnerRow]) -> list[tuple[OwnerRow, User | None]]:
    problems = _size(rows)
    teams, people = set(team_codes()), _accounts(row.person for row in rows)
    seen: dict[tuple[str, str, str], int] = {}
    for n, row in enumerate(rows, 1):
        for name, value in (("system", row.system), ("target", row.target)):
            if not value or len(value) > _LONGEST[name]:
                problems.append(f"Row {n}: {name} has 1 to {_LONGEST[name]} characters.")
        if "*" in row.target.removesuffix("*"):
            problems.append(f"Row {n}: a target has at most one * and only at its end.")
        if row.kind not in OwnerKind.values:
            problems.append(f"Row {n}: kind is one of {', '.join(OwnerKind.values)}.")
        if row.team and row.person:
            problems.append(f"Row {n}: the owner is a team or a person; leave one of them empty.")
        if row.team and row.team not in teams:
            problems.append(f"Row {n}: there is no team '{row.team}'.")
        problems += _about(people, row.person, f"Row {n}")
        twin = seen.setdefault((row.system, row.target, row.kind), n)
        if twin != n:
            problems.append(f"Row {n}: it says the same target and kind as row {twin}.")
    if problems:
        raise _bad(problems)
    return [(row, people.get(row.person)) for row in rows]


def _managers(rows: Sequence[ManagerRow]) -> list[tuple[User, User | None]]:
    problems = _size(rows)
    people = _accounts(name for row in rows for name in (row.person, row.manager))
    seen: dict[str, int] = {}
    for n, row in enumerate(rows, 1):
        if row.person not in people:
            problems.append(f"Row {n}: there is no account '{row.person}'.")
        problems += _about(people, row.manager, f"Row {n}")
        same = {people[name].person for name in (row.person, row.manager) if name in people}
        if row.manager and len(same) == 1:
            problems.append(f"Row {n}: nobody is their own line manager.")
        if seen.setdefault(row.person, n) != n:
            problems.append(f"Row {n}: {row.person} is in row {seen[row.person]} already.")
    if problems:
        raise _bad(problems)
    return [(people[row.person], people.get(row.manager)) for row in rows]


def _about(people: dict[str, User], name: str, where: str) -> list[str]:
    """What is wrong with somebody who is to be asked by name; "" is nobody."""
    if not name:
        return []
    if name not in people or not people[name].is_active:
        return [f"{where}: there is no active account '{name}'."]
    if not may_be_asked_personally(people[name].person):
        return [f"{where}: the person of '{name}' has a name over 39 characters, or with / or |."]
    return []


def _accounts(names: object) -> dict[str, User]:
    wanted = {str(name) for name in names if name}  # type: ignore[attr-defined]
    return {user.username: user for user in User.objects.filter(username__in=wanted)}


def _size(rows: Sequence[object]) -> list[str]:
    if not rows:
        return ["There are no rows."]
    return [f"At most {MOST_ROWS:,} rows at once."] if len(rows) > MOST_ROWS else []


def _bad(problems: Sequence[str]) -> PolicyError:
    more = len(problems) - _MOST_PROBLEMS
    said = [*problems[:_MOST_PROBLEMS], *([f"And {more} more."] if more > 0 else ())]
    return PolicyError("bad_rows", " ".join(said))


def _summary(rows: Sequence[OwnerRow] | Sequence[ManagerRow]) -> str:
    first = str(rows[0])
    more = f"; and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{first[:1].upper()}{first[1:220]}{more}."


def _refuse_own(persons: set[str], *actors: Actor) -> None:
    if persons & {person_of(actor) for actor in actors}:
        raise PolicyError("own_benefit", "This raises your own authority; somebody else agrees.")


# --- Carrying it out ------------------------------------------------------------------------------


def _set_owners(
    rows: Sequence[OwnerRow], *, actor: Actor, reason: str, proposer: Actor | None = None
) -> list[Ownership]:
    stream("owners")  # one at a time
    at = db_clock.now()
    saved = []
    for row, person in _owners(rows):
        before = Ownership.objects.filter(
            system=row.system, pattern=row.target, kind=row.kind, ended_at=None
        ).first()
        wanted = (row.team, person.pk if person else None)
        if before is not None and (before.team, before.person_id) == wanted:
            continue
        if before is not None:
            before.ended_at = at
            before.save(update_fields=["ended_at"])
            _record(AuditCode.OWNER_ENDED, before, actor, reason, proposer)
        if row.team or person is not None:
            owner = Ownership.objects.create(
                system=row.system,
                pattern=row.target,
                kind=row.kind,
                team=row.team,
                person=person,
                created_at=at,
            )
            _record(AuditCode.OWNER_SET, owner, actor, reason, proposer)
            saved.append(owner)
    return saved


def _record(
    code: AuditCode, owner: Ownership, actor: Actor, reason: str, proposer: Actor | None
) -> None:
    record(
        code,
        actor=actor,
        subject=owner,
        data={
            "system": owner.system,
            "pattern": owner.pattern,
            "kind": owner.kind,
            "owner": owner.owner,
            "reason": reason,
            "proposed_by": proposer.name if proposer else "",
        },
    )


def _set_managers(
    rows: Sequence[ManagerRow], *, actor: Actor, reason: str, proposer: Actor | None = None
) -> list[User]:
    ids = [user.pk for user, _ in _managers(rows)]
    accounts = User.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    locked = {user.pk: user for user in accounts}
    changed = []
    for found, manager in _managers(rows):
        user = locked[found.pk]
        if user.line_manager_id == (manager.pk if manager else None):
            continue
        user.line_manager = manager
        save_with_history(user, actor=actor, reason=reason)
        record(
            AuditCode.USER_CHANGED,
            actor=actor,
            subject=user,
            data={
                "fields": ["line_manager"],
                "to": {"line_manager": manager.get_username() if manager else ""},
                "reason": reason,
                "proposed_by": proposer.name if proposer else "",
            },
        )
        changed.append(user)
    return changed
