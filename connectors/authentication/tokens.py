"""Tokens of connections: one for all processes, kept encrypted, fetched by one of them at a time.

A process claims the right to fetch by one UPDATE of the connection's row, which the database lets
one succeed with, and keeps what it got by another, if nobody has kept a newer one. No transaction
is open while the token endpoint is asked. Everybody else waits for the row to change.

Where refresh tokens rotate, the endpoint knows the new one before we do. A process that dies
between its answer and our commit has lost it: the row still has the one before. Whoever claims
next sends that. Endpoints that take the last but one once more (a lost answer is common) go on;
the others answer invalid_grant, and the connection waits until somebody signs in again. Nothing is
sent meanwhile and nothing approved is lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet

from audit.lib import db_clock
from connectors import http
from connectors.authentication.encryption import KeyMissing, decrypt, encrypt
from connectors.authentication.grants import Granted, SignInEnded
from connectors.base import ConnectorError
from connectors.connections import forget_connections
from connectors.models import ConnectionToken

logger = logging.getLogger(__name__)

EARLY = timedelta(minutes=1)
"""A token this close to its end is fetched anew: it has to last for a claim and its call."""
_LOOK_AGAIN = 0.05  # seconds


@dataclass(frozen=True, slots=True)
class Access:
    """A token that may be shown, and until when."""

    token: str = field(repr=False)
    expires_at: datetime

    def lasts(self, at: datetime) -> bool:
        return at < self.expires_at - EARLY


@dataclass(frozen=True, slots=True)
class TokenRow:
    """Where the token of one connection is kept, and how a new one is got."""

    connection: str
    identity: str
    """Of the account, the client and the address: a token of another one is never shown."""
    title: str
    obtain: Callable[[str], Granted] = field(repr=False)
    """Asks the token endpoint, with the refresh token where there is one."""
    needs_sign_in: bool = False

    def kept(self, refused: str = "") -> Access | None:
        """The one that is kept and still lasts; None for the one that was refused."""
        row = self._rows().first()
        return self._access(row, db_clock.now(), refused) if row else None

    def get(self, refused: str = "") -> Access:
        """The one that is kept, or a new one. Raises ConnectorError: nothing was sent.

        `refused` is one the system no longer takes, whatever its time says.
        """
        give_up_at = time.monotonic() + http.timeout_seconds()
        while True:
            row, at = self._rows().first(), db_clock.now()
            if row and (access := self._access(row, at, refused)):
                return access
            if self.needs_sign_in and (row is None or row.problem or not row.refresh_token):
                raise must_sign_in(self.title)
            if row is None:
                self._make()
            elif self._claim(row, at):
                access = self._fetch(row, at)
                if access is not None:
                    return access
            if time.monotonic() > give_up_at:
                raise ConnectorError(
                    f"{self.title} is being signed in to by another worker. Nothing was sent.",
                    permanent=False,
                    code="no_token",
                )
            time.sleep(_LOOK_AGAIN)

    def _rows(self) -> QuerySet[ConnectionToken]:
        return ConnectionToken.objects.filter(name=self.connection, identity=self.identity)

    def _access(self, row: ConnectionToken, at: datetime, refused: str) -> Access | None:
        if row.expires_at is None or not row.access_token:
            return None
        access = Access(self._read(row.access_token), row.expires_at)
        return access if access.lasts(at) and access.token != refused else None

    def _read(self, kept: str) -> str:
        try:
            return decrypt(kept)
        except KeyMissing as missing:
            if self.needs_sign_in:
                raise ConnectorError(
                    f"{self.title} cannot be signed in to: {missing} Nothing was sent.",
                    permanent=False,
                    code="no_token",
                ) from None
            return ""  # fetched anew

    def _make(self) -> None:
        """A row for this identity; what was kept for another one is forgotten."""
        ConnectionToken.objects.filter(name=self.connection).exclude(identity=self.identity).update(
            identity=self.identity,
            access_token="",
            refresh_token="",
            expires_at=None,
            fetching_until=None,
            problem="",
            generation=F("generation") + 1,
        )
        ConnectionToken.objects.bulk_create(
            [ConnectionToken(name=self.connection, identity=self.identity)], ignore_conflicts=True
        )

    def _claim(self, row: ConnectionToken, at: datetime) -> bool:
        """Whether this process fetches now. A claim ends by itself, for processes that died."""
        lease = timedelta(seconds=2 * http.timeout_seconds())
        free = Q(fetching_until=None) | Q(fetching_until__lt=at)
        mine = self._rows().filter(free, generation=row.generation)
        return mine.update(fetching_until=at + lease) == 1

    def _fetch(self, row: ConnectionToken, at: datetime) -> Access | None:
        """A new token, kept; None when somebody has kept a newer one meanwhile."""
        unchanged = self._rows().filter(generation=row.generation)
        try:
            found = self.obtain(self._read(row.refresh_token))
        except SignInEnded as ended:
            unchanged.update(
                problem=str(ended)[:200], access_token="", expires_at=None, fetching_until=None
            )
            forget_connections()
            logger.warning("signing in has ended", extra={"connection": self.connection})
            raise
        except ConnectorError:
            unchanged.update(fetching_until=None)
            raise
        access = Access(found.access_token, at + found.lives)
        values = {"refresh_token": encrypt(found.refresh_token)} if found.refresh_token else {}
        is_kept = unchanged.update(
            access_token=encrypt(access.token),
            expires_at=access.expires_at,
            fetching_until=None,
            problem="",
            generation=row.generation + 1,
            **values,
        )
        return access if is_kept else None


def must_sign_in(title: str) -> ConnectorError:
    """Nobody has signed in yet, or what came of it no longer holds."""
    return ConnectorError(
        f"{title} waits for an ops admin to sign in on the connection's page. Nothing was sent.",
        permanent=False,
        code="sign_in",
    )
