"""Accounts: created, given roles, deactivated. Never deleted, and never changed by their owner."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.db import transaction

from audit.actors import Actor
from audit.events import AuditCode
from audit.services import record, save_with_history
from policies.exceptions import PolicyError
from policies.models import User
from policies.models.people import person_key
from policies.services.configuring import check_may_configure, person_of

_LONGEST_PERSON = 64


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
    """Create an account with its roles; without a password nobody can sign in with one.

    `person` names the natural person when they already have an account; it defaults to the user
    name. Raises PolicyError: not_ops_admin, username_taken, unknown_role, person_too_long.
    """
    check_may_configure(actor)
    groups = _groups(roles)
    username = User.normalize_username(username)
    if User.objects.filter(username__iexact=username).exists():
        raise PolicyError("username_taken", f"There is already an account '{username}'.")
    if len(person_key(person or username)) > _LONGEST_PERSON:
        raise PolicyError(
            "person_too_long", f"A person is named with at most {_LONGEST_PERSON} characters."
        )
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
    user.groups.set(groups)
    names = sorted(group.name for group in groups)
    record(
        AuditCode.USER_CREATED,
        actor=actor,
        subject=user,
        data={"username": username, "person": user.person, "roles": names, "email": user.email},
    )
    return user


@transaction.atomic
def change_roles(user_id: int, *, actor: Actor, roles: Iterable[str], reason: str) -> User:
    """Give the account exactly these roles; the same ones again change and record nothing.

    Raises PolicyError: not_ops_admin, own_account, unknown_role, reason_missing.
    """
    user = _locked(user_id)
    check_may_configure(actor)
    _refuse_own(user, actor, "Nobody changes their own roles; ask another ops admin.")
    _require(reason)
    groups = _groups(roles)
    before = {group.name for group in user.groups.all()}
    after = {group.name for group in groups}
    if before == after:
        return user
    changes = [f"+{name}" for name in sorted(after - before)]
    changes += [f"-{name}" for name in sorted(before - after)]
    user.groups.set(groups)
    save_with_history(user, actor=actor, reason=f"roles {' '.join(changes)}: {reason}")
    record(
        AuditCode.USER_ROLES_CHANGED,
        actor=actor,
        subject=user,
        data={"changes": ", ".join(changes), "roles": sorted(after), "reason": reason},
    )
    return user


@transaction.atomic
def change_details(
    user_id: int, *, actor: Actor, email: str, first_name: str, last_name: str
) -> User:
    """Change what the account is called and where its mail goes.

    The same values again change and record nothing. Raises PolicyError: not_ops_admin, own_account.
    """
    user = _locked(user_id)
    check_may_configure(actor)
    _refuse_own(user, actor, "Nobody changes their own account; ask another ops admin.")
    wanted = {
        "email": User.objects.normalize_email(email),
        "first_name": first_name,
        "last_name": last_name,
    }
    changed = [name for name, value in wanted.items() if getattr(user, name) != value]
    if not changed:
        return user
    for name in changed:
        setattr(user, name, wanted[name])
    save_with_history(user, actor=actor, reason=f"changed {', '.join(changed)}")
    record(
        AuditCode.USER_CHANGED,
        actor=actor,
        subject=user,
        data={"fields": ", ".join(changed), "to": {name: wanted[name] for name in changed}},
    )
    return user


@transaction.atomic
def set_password(user_id: int, *, actor: Actor, password: str, reason: str) -> User:
    """Give the account another password and end its sessions. The trail keeps that, not the word.

    Raises PolicyError: not_ops_admin, own_account, reason_missing. The caller has checked the
    password against the validators.
    """
    user = _locked(user_id)
    check_may_configure(actor)
    _refuse_own(user, actor, "Your own password is changed under your name, with the old one.")
    _require(reason)
    user.set_password(password)
    save_with_history(user, actor=actor, reason=f"password set: {reason}")
    record(
        AuditCode.USER_CHANGED,
        actor=actor,
        subject=user,
        data={"fields": "password", "reason": reason},
    )
    return user


@transaction.atomic
def deactivate(user_id: int, *, actor: Actor, reason: str) -> User:
    """Close the account; its decisions stay, and none is made with it from now on.

    Raises PolicyError: not_ops_admin, own_account, reason_missing.
    """
    user = _locked(user_id)
    check_may_configure(actor)
    _refuse_own(user, actor, "Nobody deactivates their own account; ask another ops admin.")
    _require(reason)
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


@transaction.atomic
def reactivate(user_id: int, *, actor: Actor, reason: str) -> User:
    """Open a closed account again, with the roles it had.

    Raises PolicyError: not_ops_admin, own_account, reason_missing.
    """
    user = _locked(user_id)
    check_may_configure(actor)
    _refuse_own(user, actor, "Nobody reactivates their own account; ask another ops admin.")
    _require(reason)
    if user.is_active:
        return user
    user.is_active = True
    save_with_history(user, actor=actor, reason=reason)
    record(
        AuditCode.USER_CHANGED,
        actor=actor,
        subject=user,
        data={"fields": "is_active", "is_active": True, "reason": reason},
    )
    return user


def _locked(user_id: int) -> User:
    try:
        return User.objects.select_for_update().get(pk=user_id)
    except User.DoesNotExist as error:
        raise PolicyError("unknown_user", "There is no such account.") from error


def _groups(roles: Iterable[str]) -> list[Group]:
    wanted = set(roles)
    groups = list(Group.objects.filter(name__in=wanted))
    unknown = sorted(wanted - {group.name for group in groups})
    if unknown:
        raise PolicyError("unknown_role", f"There is no role {', '.join(unknown)}.")
    return groups


def _refuse_own(user: User, actor: Actor, message: str) -> None:
    """The person counts, not the account: a second account changes nothing."""
    if person_of(actor) == user.person:
        raise PolicyError("own_account", message)


def _require(reason: str) -> None:
    if not reason.strip():
        raise PolicyError("reason_missing", "Say why, in a few words.")
