"""Passwords: chosen by the account's owner, known to nobody else, and asked for again at times.

An ops admin who could set a colleague's password could sign in as the colleague and decide, and a
second one who agreed would not see it. So no person sets another's: two ops admins agree that the
owner is mailed a link, to an address that two of them agreed to as well. The link is signed, good
for one use (it covers the password and the last sign-in as they are) and for a day. Only
parts of the system, installing accounts, set passwords themselves.

Before something that a session alone must not do, a person proves again who they are. A proof is a
row that never changes: who, how and when. It is good for five minutes by the database's clock.
Whoever serves pages keeps its id in the session that proved it, so that it is no use to another
one. `method` is open for stronger ways than a password.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from smtplib import SMTPException
from typing import cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.mail import EmailMessage
from django.db import transaction
from django.urls import reverse

from audit.actors import Actor, ActorKind
from audit.events import AuditCode
from audit.lib import db_clock
from audit.lib.canonical import JsonObject
from audit.services import record, save_with_history
from policies import throttle
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, Reauthentication, User
from policies.services.accounts import locked_account, refuse_own
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    propose_change,
    require_reason,
)

LINK = "user.password_link"

logger = logging.getLogger(__name__)


class LinkTokens(PasswordResetTokenGenerator):
    """Django's tokens, under a salt of our own; good for `PASSWORD_RESET_TIMEOUT` seconds."""

    key_salt = "policies.services.passwords"


TOKENS = LinkTokens()


def not_yours() -> PolicyError:
    """The refusal of whoever wants to set another's password."""
    return PolicyError(
        "password_not_yours",
        "Nobody sets somebody else's password. Ask for a link with which they choose one.",
    )


@transaction.atomic
def set_password(user_id: int, *, actor: Actor, password: str, reason: str) -> User:
    """Give the account a password and end its sessions; for parts of the system only.

    The trail keeps that, not the word. Raises PolicyError: not_ops_admin, own_account,
    password_not_yours, reason_missing. The caller has checked it against the validators.
    """
    user = locked_account(user_id)
    check_may_configure(actor)
    refuse_own(user, actor, "Your own password is changed under your name, with the old one.")
    if actor.kind != ActorKind.SYSTEM:
        raise not_yours()
    require_reason(reason)
    _set(user, password, actor=actor, reason=reason)
    return user


@transaction.atomic
def change_own(user_id: int, *, password: str) -> User:
    """The owner's new password; ends their other sessions. The caller has checked the old one."""
    user = locked_account(user_id)
    _set(user, password, actor=Actor.human(user), reason="changed by its owner")
    return user


@transaction.atomic
def request_link(user_id: int, *, actor: Actor, reason: str) -> AuthorityChange:
    """Ask a second person to agree that the owner is mailed a link to choose a password.

    The old password stays good until then. Raises PolicyError: not_ops_admin, own_account,
    account_closed, no_mail_address, reason_missing, already_waiting, needs_person.
    """
    user = locked_account(user_id)
    check_may_configure(actor)
    refuse_own(user, actor, "Your own password is changed under your name, with the old one.")
    require_reason(reason)
    _check_reachable(user)
    return propose_change(
        LINK,
        {"user": user.pk, "email": user.email},
        actor=actor,
        summary=f"Mail {user.username} a link to choose a password, to {user.email}.",
        reason=reason,
        beneficiary=user.person,
    )


@carries_out(LINK)
def _mail_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    user = locked_account(cast(int, payload["user"]))
    for person in (proposer, actor):
        refuse_own(user, person, "Your own password is changed under your name.")
    _check_reachable(user)
    if user.email != payload["email"]:
        raise PolicyError("account_moved", "The mail address has changed since. Propose it again.")
    mail_link(user)


def mail_link(user: User) -> None:
    """Mail the owner a link once this transaction is committed; two people have agreed to it."""
    # robust: a mail server that is down must not undo what was agreed; it is asked for again
    transaction.on_commit(partial(_send, user.pk), robust=True)


def link_of(user: User) -> str:
    """The address where the owner chooses a password: once, and for a day.

    Whoever has it can sign in as them. It is in the query, which no log of ours keeps.
    """
    query = urlencode({"account": user.pk, "token": TOKENS.make_token(user)})
    return f"{settings.BASE_URL}{reverse('choose_password')}?{query}"


def send_link(user: User) -> bool:
    """Mail it to them; says whether the mail server took it."""
    message = EmailMessage(
        subject="[Countersign] Choose your password",
        body="Choose the password of your account here, within a day. "
        f"The link works once.\n\n{link_of(user)}\n",
        to=[user.email],
    )
    try:
        message.send()
    except (SMTPException, OSError):
        logger.warning("password link not sent", extra={"user": user.pk})
        return False
    return True


def holder_of(account: str, token: str) -> User | None:
    """Whose link this is, while it is good; nobody's otherwise."""
    if not account.isascii() or not account.isdecimal() or len(account) > 18:
        return None
    user = User.objects.filter(pk=int(account), is_active=True).first()
    return user if user is not None and TOKENS.check_token(user, token) else None


@transaction.atomic
def choose(user_id: int, *, token: str, password: str) -> User:
    """The owner's first or next password, with the link they were mailed; once per link.

    Raises PolicyError: unknown_user, account_closed, link_used. The caller has checked the password
    against the validators.
    """
    user = locked_account(user_id)
    _check_open(user)
    if not TOKENS.check_token(user, token):
        raise PolicyError("link_used", "This link has been used or is too old. Ask for another.")
    _set(user, password, actor=Actor.human(user), reason="chosen by its owner, by link")
    return user


def _send(user_id: int) -> None:
    send_link(User.objects.get(pk=user_id))


def _set(user: User, password: str, *, actor: Actor, reason: str) -> None:
    user.set_password(password)
    save_with_history(user, actor=actor, reason=f"password set: {reason}")
    record(
        AuditCode.USER_CHANGED,
        actor=actor,
        subject=user,
        data={"fields": ["password"], "reason": reason},
    )


def _check_reachable(user: User) -> None:
    _check_open(user)
    if not user.email:
        raise PolicyError("no_mail_address", "This account has no mail address for a link to go.")


def _check_open(user: User) -> None:
    if not user.is_active:
        raise PolicyError("account_closed", "This account is deactivated.")


GOOD_FOR = timedelta(minutes=5)
PASSWORD = "password"  # noqa: S105 - the name of a method


def prove(user: User, *, password: str) -> Reauthentication:
    """Check the password and keep the proof. Wrong ones make wait as at the sign-in.

    Raises PolicyError: throttled, wrong_password.
    """
    username = user.get_username()
    if seconds := throttle.begin_try(username, throttle.SIGNED_IN):
        raise PolicyError("throttled", throttle.sentence(seconds))
    known = authenticate(username=username, password=password)
    if known is None or known.pk != user.pk:
        throttle.keep_failure(username, throttle.SIGNED_IN)
        raise PolicyError("wrong_password", "That is not your password.")
    throttle.forget(username, throttle.SIGNED_IN)
    with transaction.atomic():
        return Reauthentication.objects.create(user=user, method=PASSWORD, at=db_clock.now())


def current_proof(user: User, proof_id: int | None, *, at: datetime) -> Reauthentication | None:
    """The proof, if it is this account's own and not older than `GOOD_FOR` at that moment."""
    if proof_id is None:
        return None
    return Reauthentication.objects.filter(
        pk=proof_id, user_id=user.pk, at__gt=at - GOOD_FOR, at__lte=at
    ).first()
