"""Makes groups and their permissions match the roles in code."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import QuerySet

from audit.actors import Actor
from audit.events import AuditCode
from audit.services import record, stream
from policies.exceptions import PolicyError
from policies.roles import ROLES, Role, role_of
from policies.services.dual_control import check_may_configure
from policies.teams import made_teams


@transaction.atomic
def sync_roles(*, actor: Actor, roles: Iterable[Role] = ROLES) -> tuple[str, ...]:
    """Create missing roles, give each exactly its permissions; returns what changed, in words.

    Teams a company made are given what every team has.

    A second run changes and records nothing. Groups that are no role are left alone. Raises
    PolicyError: not_ops_admin, unknown_permission (nothing is changed then).
    """
    subject = stream("roles")
    check_may_configure(actor)
    roles = (*roles, *(role_of(code) for code in made_teams()))
    known = {permission.pk: _name(permission) for permission in _with_app(Permission.objects.all())}
    wanted = {role.name: _permissions(role, known) for role in roles}
    unknown = [f"{role}: {name}" for role, (_, missing) in wanted.items() for name in missing]
    if unknown:
        raise PolicyError("unknown_permission", f"No such permission: {'; '.join(unknown)}.")
    changes: list[str] = []
    for role in roles:
        changes += _sync(role, wanted[role.name][0])
    if changes:
        record(
            AuditCode.ROLES_SYNCED,
            actor=actor,
            subject=subject,
            data={"changes": list(changes), "count": len(changes)},
        )
    return tuple(changes)


def group_of(role: Role) -> Group:
    """The role's group with exactly the role's permissions."""
    known = {permission.pk: _name(permission) for permission in _with_app(Permission.objects.all())}
    _sync(role, _permissions(role, known)[0])
    return Group.objects.get(name=role.name)


def _sync(role: Role, wanted: dict[int, str]) -> list[str]:
    group, created = Group.objects.get_or_create(name=role.name)
    changes = [f"{role.name} created"] if created else []
    has = {permission.pk: _name(permission) for permission in _with_app(group.permissions.all())}
    added, removed = wanted.keys() - has.keys(), has.keys() - wanted.keys()
    changes += sorted(f"{role.name} +{wanted[pk]}" for pk in added)
    changes += sorted(f"{role.name} -{has[pk]}" for pk in removed)
    if added or removed:
        group.permissions.set(list(wanted))
    return changes


def _permissions(role: Role, known: dict[int, str]) -> tuple[dict[int, str], list[str]]:
    """The role's permissions by primary key, and the names that are none.

    A name ending in `*` stands for every permission that begins like it.
    """
    found: dict[int, str] = {}
    missing = []
    for name in role.permissions:
        if name.endswith("*"):
            matches = {pk: full for pk, full in known.items() if full.startswith(name[:-1])}
        else:
            matches = {pk: full for pk, full in known.items() if full == name}
        found |= matches
        if not matches:
            missing.append(name)
    return found, missing


def _with_app(rows: QuerySet[Permission]) -> QuerySet[Permission]:
    return rows.select_related("content_type")


def _name(permission: Permission) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"
