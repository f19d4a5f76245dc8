"""One connection's way to a token: signed in before a call, renewed once within."""

from __future__ import annotations

import time
from functools import cached_property

from audit.lib import db_clock
from audit.lib.canonical import digest_of
from connectors.authentication import grants
from connectors.authentication.encryption import KeyMissing, fingerprint
from connectors.authentication.grants import Client, Granted
from connectors.authentication.tokens import EARLY, Access, TokenRow
from connectors.base import ConnectorError
from connectors.connections import Route
from connectors.declared.file import Card, Scheme


class Login:
    """What a connection of a scheme with tokens shows. Shared by threads; one per connector."""

    def __init__(self, card: Card, base_url: str, credential: str, connection: str) -> None:
        self._card, self._base_url = card, base_url
        self._credential, self._connection = credential, connection
        self._known: tuple[Access, float] | None = None  # and its end by this process's clock
        self._refused = ""

    def is_ready(self) -> bool:
        """Whether a token is at hand, here or in the database; asks nobody else."""
        if self._at_hand() is None and (kept := self._row.kept(self._refused)):
            self._keep(kept)
        return self._at_hand() is not None

    def sign_in(self) -> str:
        """The token to show, got first where there is none. Raises ConnectorError."""
        return self._at_hand() or self._keep(self._row.get(self._refused))

    def renew(self, refused: str) -> str:
        """Another token than the one the system refused. Raises ConnectorError."""
        self._known, self._refused = None, refused
        return self.sign_in()

    def secrets(self) -> tuple[str, ...]:
        """What must not be repeated, whatever the system says."""
        token = self._at_hand()
        return (*self.client.secrets, *([token] if token else ()))

    @cached_property
    def client(self) -> Client:
        """Who we are there. Raises ConnectorError for a credential that does not say."""
        try:
            return grants.client_of(self._credential, self._card.authentication)
        except ValueError as error:
            raise ConnectorError(
                f"{self._card.title} cannot be signed in to: {error} Nothing was sent.",
                permanent=False,
                code="no_token",
            ) from None

    @property
    def endpoint(self) -> str:
        """Where tokens are got."""
        return grants.token_endpoint(self._card.authentication, self._base_url)

    @cached_property
    def identity(self) -> str:
        """Changes with whatever makes a token another account's. Raises ConnectorError."""
        of_client = self.client.id
        is_signed_in = self._card.authentication.scheme is Scheme.AUTHORIZATION_CODE
        try:
            # who signed in stays so with a new client secret; else the secret is who we are
            secret = "" if is_signed_in else fingerprint(self._credential)
        except KeyMissing as missing:
            raise ConnectorError(
                f"{self._card.title} cannot be signed in to: {missing} Nothing was sent.",
                permanent=False,
                code="no_token",
            ) from None
        return digest_of([self._card.system, self._base_url, self.endpoint, of_client, secret])

    @cached_property
    def _row(self) -> TokenRow:
        return TokenRow(
            self._connection,
            self.identity,
            self._card.title,
            self._obtain,
            self._card.authentication.scheme is Scheme.AUTHORIZATION_CODE,
        )

    def _obtain(self, refresh_token: str) -> Granted:
        card = self._card
        return grants.granted(
            card.title, card.authentication, self.client, self.endpoint, refresh_token
        )

    def _at_hand(self) -> str | None:
        known = self._known
        if known is None or known[1] < time.monotonic() or known[0].token == self._refused:
            return None
        return known[0].token

    def _keep(self, access: Access) -> str:
        left = access.expires_at - EARLY - db_clock.now()
        self._known = (access, time.monotonic() + left.total_seconds())
        return access.token


def login_of(card: Card, route: Route) -> Login:
    """The login of that connection."""
    return Login(card, route.address.rstrip("/"), route.config.get("token", ""), route.name)
