"""What an account is called, where its mail goes, whose it is, and opening it again.

Mail, person and reopening take two people: links to choose a password go to that address,
four-eyes counts persons, and a closed account comes back with the roles it had.
"""

from __future__ import annotations

from typing import cast

from django.db import transaction

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.services import record, save_with_history
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, User
from policies.models.people import person_key
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    person_of,
    propose_change,
    require_reason,
)

EMAIL = "user.email"
PERSON = "user.person"
REOPEN = "user.reopen"
LONGEST_PERSON = 64
_NOT_OWN = "Nobody changes their own account; ask another ops admin."


@transaction.atomic
def change_details(
    user_id: int, *, actor: Actor, email: str, first_name: str, last_name: str
) -> User | AuthorityChange:
    """Change what the account is called, and ask for another mail address.

    From a person the address waits for a second one, and the change is returned. The same values
    again change and record nothing. Raises PolicyError: not_ops_admin, own_account,
    already_waiting.
    """
    user = locked_account(user_id)
    check_may_configure(actor)
    refuse_own(user, actor, _NOT_OWN)
    email = User.objects.normalize_email(email)
    wanted = {"first_name": first_name, "last_name": last_name}
    if actor.kind == ActorKind.SYSTEM:
        wanted["email"] = email
    _change(user, wanted, actor=actor)
    if email == user.email:
        return user
    return propose_change(
        EMAIL,
        {"user": user.pk, "before": user.email, "email": email},
        actor=actor,
        summary=f"Send {user.username}'s mail, and links to choose a password, to "
        f"{email or 'nobody'}; it goes to {user.email or 'nobody'} now.",
        reason="another mail address",
        beneficiary=user.person,
    )


@carries_out(EMAIL)
def _change_email_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    user = _as_agreed(payload, proposer, actor)
    if user.email != payload["before"]:
        raise PolicyError("account_moved", "The account has changed since. Propose it again.")
    _change(user, {"email": str(payload["email"])}, actor=actor, proposer=proposer)


@transaction.atomic
def change_person(
    user_id: int, *, actor: Actor, person: str, reason: str
) -> User | AuthorityChange:
    """Say whose account this is: accounts of one person count once, and never twice.

    Decisions keep the person they were made by. From a person it waits for a second one. Raises
    PolicyError: not_ops_admin, own_account, reason_missing, person_too_long, already_waiting.
    """
    user = locked_account(user_id)
    check_may_configure(actor)
    refuse_own(user, actor, _NOT_OWN)
    require_reason(reason)
    person = person_key(person) or person_key(user.username)
    check_person(person)
    if person == user.person:
        return user
    if actor.kind == ActorKind.SYSTEM:
        _change(user, {"person": person}, actor=actor, reason=reason)
        return user
    return propose_change(
        PERSON,
        {"user": user.pk, "before": user.person, "person": person, "reason": reason},
        actor=actor,
        summary=f'Count {user.username} as the person "{person}"; '
        f'it counts as "{user.person}" now.',
        reason=reason,
        beneficiary=user.person,
    )


@carries_out(PERSON)
def _change_person_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    user = _as_agreed(payload, proposer, actor)
    person = str(payload["person"])
    if user.person != payload["before"]:
        raise PolicyError("account_moved", "The account has changed since. Propose it again.")
    if person in {person_of(proposer), person_of(actor)}:
        raise PolicyError("own_account", _NOT_OWN)
    _change(user, {"person": person}, actor=actor, reason=str(payload["reason"]), proposer=proposer)


@transaction.atomic
def reactivate(user_id: int, *, actor: Actor, reason: str) -> User | AuthorityChange:
    """Open a closed account again, with the roles it had.

    If it has any, that waits for a second person when a person asks, and the change is returned.
    Raises PolicyError: not_ops_admin, own_account, reason_missing, already_waiting.
    """
    user = locked_account(user_id)
    check_may_configure(actor)
    refuse_own(user, actor, "Nobody reactivates their own account; ask another ops admin.")
    require_reason(reason)
    if user.is_active:
        return user
    roles = sorted(group.name for group in user.groups.all())
    if actor.kind == ActorKind.HUMAN and roles:
        return propose_change(
            REOPEN,
            {"user": user.pk, "roles": roles, "reason": reason},
            actor=actor,
            summary=f"Open the account of {user.username} again, with the roles "
            f"{', '.join(roles)}.",
            reason=reason,
            beneficiary=user.person,
        )
    _reopen(user, actor=actor, reason=reason)
    return user


@carries_out(REOPEN)
def _reopen_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    user = locked_account(cast(int, payload["user"]))
    for person in (proposer, actor):
        refuse_own(user, person, _NOT_OWN)
    roles = sorted(group.name for group in user.groups.all())
    if user.is_active or roles != payload["roles"]:
        raise PolicyError("account_moved", "The account has changed since. Propose it again.")
    _reopen(user, actor=actor, reason=str(payload["reason"]), proposer=proposer)


def locked_account(user_id: int) -> User:
    """Raises PolicyError unknown_user."""
    try:
        return User.objects.select_for_update().get(pk=user_id)
    except User.DoesNotExist as error:
        raise PolicyError("unknown_user", "There is no such account.") from error


def refuse_own(user: User, actor: Actor, message: str) -> None:
    """The person counts, not the account: a second account changes nothing."""
    if person_of(actor) == user.person:
        raise PolicyError("own_account", message)


def check_person(person: str) -> None:
    """Raises PolicyError person_too_long."""
    if len(person_key(person)) > LONGEST_PERSON:
        raise PolicyError(
            "person_too_long", f"A person is named with at most {LONGEST_PERSON} characters."
        )


def _as_agreed(payload: JsonObject, proposer: Actor, actor: Actor) -> User:
    user = locked_account(cast(int, payload["user"]))
    for person in (proposer, actor):
        refuse_own(user, person, _NOT_OWN)
    return user


def _change(
    user: User,
    wanted: dict[str, str],
    *,
    actor: Actor,
    reason: str = "",
    proposer: Actor | None = None,
) -> None:
    changed = [name for name, value in wanted.items() if getattr(user, name) != value]
    if not changed:
        return
    for name in changed:
        setattr(user, name, wanted[name])
    save_with_history(user, actor=actor, reason=f"changed {', '.join(changed)}")
    record(
        AuditCode.USER_CHANGED,
        actor=actor,
        subject=user,
        data={
            "fields": list(changed),
            "to": {name: wanted[name] for name in changed},
            "reason": reason,
            "proposed_by": proposer.name if proposer else "",
        },
    )


def _reopen(user: User, *, actor: Actor, reason: str, proposer: Actor | None = None) -> None:
    user.is_active = True
    save_with_history(user, actor=actor, reason=reason)
    record(
        AuditCode.USER_CHANGED,
        actor=actor,
        subject=user,
        data={
            "fields": ["is_active"],
            "is_active": True,
            "reason": reason,
            "proposed_by": proposer.name if proposer else "",
        },
    )
