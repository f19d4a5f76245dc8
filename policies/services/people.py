"""Accounts: never deleted, never changed by their owner, and raised by two people only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from django.contrib.auth.models import Group
from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.services import record, save_with_history
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, User
from policies.roles import BREAK_GLASS, NEVER_DECIDE
from policies.services import passwords
from policies.services.accounts import check_person, locked_account, refuse_own
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    propose_change,
    require_reason,
)
from policies.services.publishable import document_in_force
from policies.teams import team_codes

ROLES = "user.roles"


@transaction.atomic
def create_user(
    *,
    actor: Actor,
    username: str,
    password: str | None = None,
    roles: Iterable[str] = (),
    person: str = "",
    email: str = "",
    first_name: str = "",
    last_name: str = "",
    is_staff: bool = True,
) -> User:
    """Create an account; without a password nobody can sign in with one.

    Parts of the system give it its roles and a password at once. From a person it has neither: the
    roles wait for a second one, and with those the account's owner is sent a link to choose a
    password. `person` names the natural person when they already have an account; it defaults to
    the user name. Raises PolicyError: not_ops_admin, username_taken, unknown_role,
    person_too_long, password_not_yours.
    """
    check_may_configure(actor)
    groups = _groups(roles)
    username = User.normalize_username(username)
    if User.objects.filter(username__iexact=username).exists():
        raise PolicyError("username_taken", f"There is already an account '{username}'.")
    check_person(person or username)
    at_once = actor.kind == ActorKind.SYSTEM
    if password is not None and not at_once:
        raise passwords.not_yours()
    user = User(
        username=username,
        person=person,
        email=User.objects.normalize_email(email),
        first_name=first_name,
        last_name=last_name,
        is_staff=is_staff,
    )
    user.set_password(password)
    save_with_history(user, actor=actor, reason="created")
    names = sorted(group.name for group in groups)
    if at_once:
        user.groups.set(groups)
    record(
        AuditCode.USER_CREATED,
        actor=actor,
        subject=user,
        data={
            "username": username,
            "person": user.person,
            "roles": names if at_once else [],
            "email": user.email,
        },
    )
    if names and not at_once:
        _propose_roles(user, names, [], actor=actor, reason="a new account")
    return user


@transaction.atomic
def change_roles(
    user_id: int, *, actor: Actor, roles: Iterable[str], reason: str
) -> User | AuthorityChange:
    """Give the account exactly these roles; the same ones again change and record nothing.

    What a person takes away is gone at once. What a person adds waits for a second one, and so
    does taking away a role whose members never decide, or that the policy in force excludes from
    a requirement, from somebody who then could: the change is returned. Raises PolicyError:
    not_ops_admin, own_account, unknown_role, reason_missing, already_waiting.
    """
    user = locked_account(user_id)
    check_may_configure(actor)
    refuse_own(user, actor, "Nobody changes their own roles; ask another ops admin.")
    require_reason(reason)
    after = {group.name for group in _groups(roles)}
    before = _held(user)
    added, removed = after - before, before - after
    waits: set[str] = set()
    if actor.kind == ActorKind.HUMAN:
        waits = removed & _barring_roles() if _may_come_to_decide(user, after) else set()
        removed -= waits
    if actor.kind == ActorKind.SYSTEM:
        _apply_roles(user, added, removed, actor=actor, reason=reason)
        return user
    _apply_roles(user, set(), removed, actor=actor, reason=reason)
    if added or waits:
        return _propose_roles(user, sorted(added), sorted(waits), actor=actor, reason=reason)
    return user


def join(user_id: int, role: str, *, actor: Actor, reason: str) -> User | AuthorityChange:
    """Give the account one more role; see `change_roles`."""
    held = _held(locked_account(user_id))
    return change_roles(user_id, actor=actor, roles=held | {role}, reason=reason)


@carries_out(ROLES)
def _change_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    """What was added or taken away since stays as it is. Raises PolicyError account_moved."""
    user = locked_account(cast(int, payload["user"]))
    for person in (proposer, actor):
        refuse_own(user, person, "Nobody changes their own roles; ask another ops admin.")
    if not user.is_active or user.email != payload["email"]:
        raise PolicyError("account_moved", "The account has changed since. Propose it again.")
    added, removed = (cast(list[str], payload[name]) for name in ("add", "remove"))
    _groups(added)
    held = _held(user)
    _apply_roles(
        user,
        set(added) - held,
        set(removed) & held,
        actor=actor,
        reason=str(payload["reason"]),
        proposer=proposer,
    )
    if user.email and not user.has_usable_password():
        passwords.mail_link(user)


@transaction.atomic
def deactivate(user_id: int, *, actor: Actor, reason: str) -> User:
    """Close the account; its decisions stay, and none is made with it from now on.

    Raises PolicyError: not_ops_admin, own_account, reason_missing.
    """
    user = locked_account(user_id)
    check_may_configure(actor)
    refuse_own(user, actor, "Nobody deactivates their own account; ask another ops admin.")
    require_reason(reason)
    if not user.is_active:
        return user
    user.is_active = False
    save_with_history(user, actor=actor, reason=reason)
    record(
        AuditCode.USER_DEACTIVATED,
        actor=actor,
        subject=user,
        data={"username": user.username, "reason": reason},
    )
    return user


def _propose_roles(
    user: User, added: list[str], removed: list[str], *, actor: Actor, reason: str
) -> AuthorityChange:
    what = [f"give the roles {', '.join(added)} to"] if added else []
    what += [f"take the roles {', '.join(removed)} from"] if removed else []
    known_as = f"{user.username} ({user.email or 'no mail address'})"
    sentence = f"{' and '.join(what)} {known_as}."
    return propose_change(
        ROLES,
        {
            "user": user.pk,
            "add": added,
            "remove": removed,
            "email": user.email,
            "reason": reason,
        },
        actor=actor,
        summary=sentence[0].upper() + sentence[1:],
        reason=reason,
        beneficiary=user.person,
    )


def _apply_roles(
    user: User,
    added: set[str],
    removed: set[str],
    *,
    actor: Actor,
    reason: str,
    proposer: Actor | None = None,
) -> None:
    if not added and not removed:
        return
    changes = [f"+{name}" for name in sorted(added)] + [f"-{name}" for name in sorted(removed)]
    user.groups.remove(*Group.objects.filter(name__in=removed))
    user.groups.add(*Group.objects.filter(name__in=added))
    save_with_history(user, actor=actor, reason=f"roles {' '.join(changes)}: {reason}")
    record(
        AuditCode.USER_ROLES_CHANGED,
        actor=actor,
        subject=user,
        data={
            "changes": list(changes),
            "roles": sorted(_held(user)),
            "reason": reason,
            "proposed_by": proposer.name if proposer else "",
        },
    )


def _held(user: User) -> set[str]:
    return set(user.groups.values_list("name", flat=True))


def _barring_roles() -> frozenset[str]:
    """Roles that keep their members from deciding something: to lose one raises authority."""
    document = document_in_force()
    return NEVER_DECIDE | (document.excluded_roles if document else frozenset())


def _may_come_to_decide(user: User, after: set[str]) -> bool:
    """Whether any account of this person would hold a role that decides."""
    others = User.objects.filter(person=user.person).exclude(pk=user.pk)
    held = set(others.values_list("groups__name", flat=True)) | after
    return bool(held & {*team_codes(), BREAK_GLASS})


def _groups(roles: Iterable[str]) -> list[Group]:
    wanted = set(roles)
    groups = list(Group.objects.filter(name__in=wanted))
    unknown = sorted(wanted - {group.name for group in groups})
    if unknown:
        raise PolicyError("unknown_role", f"There is no role {', '.join(unknown)}.")
    return groups
