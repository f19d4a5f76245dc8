"""Proving again who one is, shortly before something that a session alone must not do.

A proof is a row that never changes: who, how and when. It is good for five minutes by the
database's clock. Whoever serves pages keeps its id in the session that proved it, so that it is no
use to another one. `method` is open for stronger ways than a password.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth import authenticate
from django.db import transaction

from audit import clock
from policies import throttle
from policies.exceptions import PolicyError
from policies.models import Reauthentication, User

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
        return Reauthentication.objects.create(user=user, method=PASSWORD, at=clock.now())


def current_proof(user: User, proof_id: int | None, *, at: datetime) -> Reauthentication | None:
    """The proof, if it is this account's own and not older than `GOOD_FOR` at that moment."""
    if proof_id is None:
        return None
    return Reauthentication.objects.filter(
        pk=proof_id, user_id=user.pk, at__gt=at - GOOD_FOR, at__lte=at
    ).first()
