"""Signing in to a system for a connection: one ops admin does it, a second one agrees.

Whose account a connection acts as decides as much as its address does. What the first one's
signing in gave is kept apart until then, and the earlier account stays in use.
"""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.db import transaction

from audit.actors import Actor
from audit.events import AuditCode
from audit.lib.canonical import JsonObject
from audit.services import record
from connectors.authentication import sign_in
from connectors.authentication.sign_in import SignInRefused
from connectors.connections import Route, forget_connections, routes_in_force
from connectors.declared.file import Card, Scheme
from connectors.models import Connection, SignIn
from connectors.registry import card_of
from policies.exceptions import PolicyError
from policies.models import AuthorityChange, User
from policies.services.dual_control import (
    carries_out,
    check_may_configure,
    propose_change,
    require_reason,
)

SIGN_IN = "connection.sign_in"


def redirect_uri() -> str:
    """Where systems send people back to; it has to be registered there, word for word."""
    return f"{settings.BASE_URL.rstrip('/')}/admin/connectors/connection/signed-in/"


def is_signed_in_to(system: str) -> bool:
    """Whether a person signs in there for a connection."""
    card = card_of(system)
    return card is not None and card.authentication.scheme is Scheme.AUTHORIZATION_CODE


def begin_sign_in(name: str, *, actor: Actor, reason: str) -> str:
    """The address at the system where this person signs in.

    Raises PolicyError: not_ops_admin, reason_missing, unknown_connection, sign_in_refused.
    """
    check_may_configure(actor)
    require_reason(reason, at_most=200)
    try:
        route = _route(name)
        return sign_in.begin(
            _card(route),
            route,
            by=int(actor.id),
            reason=reason.strip(),
            redirect_uri=redirect_uri(),
        )
    except SignInRefused as refused:
        raise PolicyError("sign_in_refused", str(refused)) from None


def finish_sign_in(state: str, code: str, *, actor: Actor) -> AuthorityChange:
    """Take the system's answer; it holds once a second ops admin agrees. No transaction is open.

    Raises PolicyError: not_ops_admin, unknown_connection, sign_in_refused, already_waiting.
    """
    check_may_configure(actor)
    try:
        row = sign_in.claim(state, by=int(actor.id))
        if not code:
            raise SignInRefused("Nobody was signed in: the system gave no code.")
        route = _route(row.connection)
        sign_in.redeem(row, code, _card(route), route, redirect_uri=redirect_uri())
    except SignInRefused as refused:
        raise PolicyError("sign_in_refused", str(refused)) from None
    return propose_change(
        SIGN_IN,
        {"sign_in": row.pk, "connection": row.connection, "reason": row.reason},
        actor=actor,
        summary=f"Let {row.connection} act as the account signed in to {route.system} at "
        f"{route.address} (sign-in {row.pk}).",
        reason=row.reason,
    )


@carries_out(SIGN_IN, raises_authority=False)
def _sign_in_as_agreed(payload: JsonObject, /, *, proposer: Actor, actor: Actor) -> None:
    """Raises PolicyError sign_in_refused when the connection has changed since."""
    row = SignIn.objects.select_for_update().get(pk=cast(int, payload["sign_in"]))
    connection = Connection.objects.select_for_update().get(name=row.connection)
    by = User.objects.get(pk=row.begun_by_id).get_username()
    route = _route(row.connection)
    try:
        sign_in.put_in_force(row, _card(route), route, signed_in_by=by)
    except SignInRefused as refused:
        raise PolicyError("sign_in_refused", str(refused)) from None
    record(
        AuditCode.CONNECTION_SIGNED_IN,
        actor=actor,
        subject=connection,
        data={
            "name": row.connection,
            "reason": str(payload["reason"]),
            "proposed_by": proposer.name,
        },
    )
    transaction.on_commit(forget_connections)


def _route(name: str) -> Route:
    forget_connections()
    found = [route for route in routes_in_force() if route.name == name]
    if not found or found[0].is_from_environment:
        raise PolicyError("unknown_connection", "There is no such connection any more.")
    return found[0]


def _card(route: Route) -> Card:
    card = card_of(route.system)
    if card is None or not is_signed_in_to(route.system):
        raise PolicyError("sign_in_refused", f"Nobody signs in to {route.system}.")
    return card
