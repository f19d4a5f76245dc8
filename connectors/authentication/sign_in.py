"""A person signs in to a system for a connection: authorization code (RFC 6749, 4.1) with PKCE.

What the system gave waits, encrypted, until it is put in force; the tokens in force go on until
then. The state is of one use, for minutes, and for the person who began: nobody else's answer is
taken for it.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import timedelta
from urllib.parse import urlencode

from audit.lib import db_clock
from connectors.authentication import grants
from connectors.authentication.encryption import KeyMissing, decrypt, encrypt
from connectors.authentication.login import login_of
from connectors.base import ConnectorError
from connectors.connections import Route, forget_connections
from connectors.declared.file import Card
from connectors.models import ConnectionToken, SignIn

HOLDS_FOR = timedelta(minutes=15)
"""From the click on our page to the answer of the system."""
UNUSED = timedelta(days=8)
"""After so long no second person can agree any more."""


class SignInRefused(Exception):
    """This answer of a system is not taken. The sentence says why."""


def begin(card: Card, route: Route, *, by: int, reason: str, redirect_uri: str) -> str:
    """The address at the system where this person (`by`) signs in. Raises SignInRefused."""
    login = login_of(card, route)
    _forget_the_unused(route.name)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    try:
        SignIn.objects.create(
            connection=route.name,
            identity=login.identity,
            state_digest=_digest(state),
            verifier=encrypt(verifier),
            reason=reason,
            begun_by_id=by,
            expires_at=db_clock.now() + HOLDS_FOR,
        )
        client_id = login.client.id
    except (ConnectorError, KeyMissing) as error:
        raise SignInRefused(str(error)) from None
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": card.authentication.scope,
        "state": state,
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    return f"{card.authentication.authorize}?{urlencode(asked)}"


def claim(state: str, *, by: int) -> SignIn:
    """The sign-in this answer belongs to, which it uses up. Raises SignInRefused."""
    at = db_clock.now()
    mine = SignIn.objects.filter(
        state_digest=_digest(state), begun_by_id=by, expires_at__gt=at, redeemed_at=None
    )
    row = mine.first()
    if row is None or not mine.update(redeemed_at=at):
        raise SignInRefused(
            "This answer belongs to no sign-in of yours that is under way. Begin again."
        )
    return row


def redeem(row: SignIn, code: str, card: Card, route: Route, *, redirect_uri: str) -> None:
    """Get the tokens for the code and keep them apart. Raises SignInRefused."""
    login = login_of(card, route)
    at = db_clock.now()
    try:
        if login.identity != row.identity:
            raise SignInRefused("The connection has changed since. Begin again.")
        found = grants.ask(
            card.title,
            card.authentication,
            login.client,
            login.endpoint,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": decrypt(row.verifier),
            },
        )
        row.access_token, row.refresh_token = (
            encrypt(found.access_token),
            encrypt(found.refresh_token),
        )
    except (ConnectorError, KeyMissing) as error:
        raise SignInRefused(str(error)) from None
    if not found.refresh_token:
        raise SignInRefused(f"{card.title} gave no refresh token; nothing can go on from this.")
    row.access_expires_at, row.verifier = at + found.lives, ""
    row.save(update_fields=["access_token", "refresh_token", "access_expires_at", "verifier"])


def put_in_force(row: SignIn, card: Card, route: Route, *, signed_in_by: str) -> None:
    """Use its tokens from now on, in the caller's transaction. Raises SignInRefused."""
    login = login_of(card, route)
    try:
        is_same = login.identity == row.identity
    except ConnectorError as error:
        raise SignInRefused(str(error)) from None
    if not is_same or not row.refresh_token:
        raise SignInRefused("The connection has changed since. Sign in again.")
    name = row.connection
    ConnectionToken.objects.bulk_create([ConnectionToken(name=name)], ignore_conflicts=True)
    kept = ConnectionToken.objects.select_for_update().get(name=name)
    kept.identity, kept.problem = row.identity, ""
    kept.access_token, kept.expires_at = row.access_token, row.access_expires_at
    kept.refresh_token, kept.fetching_until = row.refresh_token, None
    kept.generation += 1  # what is being fetched with the earlier ones is not kept any more
    kept.signed_in_by, kept.signed_in_at = signed_in_by, db_clock.now()
    kept.save()
    row.access_token = row.refresh_token = ""
    row.save(update_fields=["access_token", "refresh_token"])
    forget_connections()


def _forget_the_unused(connection: str) -> None:
    """What nobody agreed to in time is of no use to anybody."""
    lapsed = SignIn.objects.filter(connection=connection, expires_at__lt=db_clock.now() - UNUSED)
    lapsed.update(access_token="", refresh_token="", verifier="")


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
