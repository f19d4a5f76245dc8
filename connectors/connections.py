"""Which connection an action type goes through, and the values a connector is built from.

A system's connection from the environment has the system's name and needs no row. Connections of
the admin are rows; action types bound to one go through it, all others through the environment's.
What a process knows of the rows is a few seconds old at most.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.conf import settings

from audit.lib.canonical import JsonObject, digest_of
from connectors.addresses import (
    is_sandbox,
    is_trusted_relay,
    variable_of,
    with_password,
    without_password,
)
from connectors.configuration import is_configured, unusable_values
from connectors.credentials import CredentialMissing, credential_for_reading, read_credential
from connectors.models import (
    Binding,
    Connection,
    ConnectionState,
    ConnectionToken,
    CredentialSource,
)
from connectors.protocols import PROTOCOLS

KNOWN_FOR = 3.0
"""Seconds for which a process takes what it knows of connections as true."""

_NAMES = {"records": ("url",), "email": ("url", "sender", "archive_url")}
_SECRET = {"payments": "api_key", "records": "", "email": ""}
_NO_SECRET = "no-credential"  # noqa: S105 - stands for one; nothing is sent without it


def names_of(system: str) -> tuple[str, ...]:
    """What a connection of that system has to state, the address first."""
    protocol = PROTOCOLS.get(system)
    return protocol.values if protocol else _NAMES.get(system, ("base_url",))


def secret_of(system: str) -> str:
    """The name under which its connector gets the credential; "": within the address."""
    protocol = PROTOCOLS.get(system)
    return protocol.secret if protocol else _SECRET.get(system, "token")


_NAME = re.compile(r"\A[a-z][a-z0-9-]{0,31}\Z", re.ASCII)
_NO_ADDRESSES = frozenset({"allowed", "groups", "users", "disabled_by"})
_MAIL = re.compile(r"\A[^@\s]++@[^@\s]++\Z")
_SECRETIVE = ("pass", "key", "token", "secret")


def is_name(text: str) -> bool:
    """Whether a connection of the admin may be called that."""
    return bool(_NAME.match(text))


def why_refused(system: str, name: str, value: str, *, has_credential: bool) -> str:
    """Why a connection of the admin may not have that value, in a sentence; empty when it may.

    As strict as what the environment may say, and no password may stand in it.
    """
    if not value:
        return "Every connection of this system needs one."
    if name == "sender":
        return "" if _MAIL.match(value) else "Write a mail address."
    if name in _NO_ADDRESSES:
        return "" if value.isprintable() else "It has control characters in it."
    for found in unusable_values({system: {name: value}}):
        return f"It {found.reason}."
    try:
        parts = urlsplit(value)
    except ValueError:
        return "It is no address."
    is_http = parts.scheme in {"http", "https"}
    if (
        parts.password is not None
        or (is_http and "@" in parts.netloc)
        or _names_secret(parts.query)
    ):
        return "Leave the password out: it is kept where you say below, and never here."
    if has_credential and not secret_of(system) and not is_http and not parts.username:
        return f"Name the user who signs in with the credential: {parts.scheme}://user@host."
    if settings.DEBUG or settings.DEMO or is_trusted_relay(value):
        return ""
    if parts.scheme in {"http", "imap", "ldap"}:
        return f"Write {parts.scheme}s://, or put the host of your own relay in TRUSTED_RELAYS."
    return "It leads to this machine or to nobody's system." if is_sandbox(value) else ""


def _names_secret(query: str) -> bool:
    names = [pair.partition("=")[0].lower() for pair in query.split("&")]
    return any(word in name for name in names for word in _SECRETIVE)


@dataclass(frozen=True, slots=True)
class Route:
    """One connection as it is now."""

    name: str
    system: str
    values: Mapping[str, str] = field(hash=False)
    """Without any secret: fit to be shown."""
    secrets: Mapping[str, str] = field(hash=False, repr=False)
    """What the connector gets instead of or beside `values`."""
    read_secrets: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    """What reads get instead of `secrets`; none: the same."""
    source: str = ""
    """Where the credential is looked up."""
    problem: str = ""
    """Why nothing can be sent now."""
    owner: str = ""
    """The natural person who answers for it; for the environment's, whoever deploys."""
    is_from_environment: bool = False
    calls_per_minute: int | None = None

    @property
    def address(self) -> str:
        return self.values[names_of(self.system)[0]]

    @property
    def config(self) -> dict[str, str]:
        """What the connector of that system is built from."""
        return {**self.values, **self.secrets}

    @property
    def read_config(self) -> dict[str, str]:
        """The same for what only reads."""
        return {**self.config, **self.read_secrets}

    @property
    def reference(self) -> str:
        """Its name, and a digest that changes with its addresses and where its credential is."""
        content: JsonObject = {
            "system": self.system,
            "values": {**self.values},
            "source": self.source,
        }
        return f"{self.name}@{digest_of(content)[:12]}"


def config_of(action_type_key: str, system: str) -> Mapping[str, str] | None:
    """The values the connector of this action type is built from, the credential among them.

    None when the action type goes nowhere: its system is not configured.
    """
    route = route_of(action_type_key, system)
    return route.config if route else None


def route_of(action_type_key: str, system: str, reference: str = "") -> Route | None:
    """The connection this action type goes through now; with a reference, the one of that name.

    A removed connection is found by its reference alone. None when there is none.
    """
    known = _known()
    name = reference.partition("@")[0] or known.bound.get(action_type_key, "")
    row = known.rows.get(name)
    if row is not None:
        is_usable = row.system == system and (reference or row.removed_at is None)
        return _route_of_row(row) if is_usable else None
    return _from_environment(system) if name in {"", system} else None


def routes_in_force() -> list[Route]:
    """Every connection there is, by name: from the environment and of the admin."""
    rows = [row for row in _known().rows.values() if row.removed_at is None]
    found = [_route_of_row(row) for row in rows]
    for system in settings.CONNECTORS:
        if route := _from_environment(system):
            found.append(route)
    return sorted(found, key=lambda route: route.name)


def state_of(name: str) -> ConnectionState | None:
    """How the connection fares, as this process knows it; None when nothing was ever kept."""
    return _known().states.get(name)


def forget_connections() -> None:
    """Look at the rows again; called by whoever changes one."""
    global _known_rows
    _known_rows = None


@dataclass(frozen=True, slots=True)
class Known:
    """The rows as they were read last."""

    rows: Mapping[str, Connection] = field(default_factory=dict)
    bound: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, ConnectionState] = field(default_factory=dict)
    ended: Mapping[str, str] = field(default_factory=dict)
    """Why nobody is signed in any more, by the connection's name."""


_known_rows: tuple[float, Known] | None = None  # on this process's own monotonic clock


def _known() -> Known:
    global _known_rows
    kept = _known_rows
    if kept is None or kept[0] < time.monotonic() - KNOWN_FOR:
        kept = (time.monotonic(), _read())
        _known_rows = kept
    return kept[1]


def _read() -> Known:
    rows = {row.name: row for row in Connection.objects.order_by("name")}
    bound = Binding.objects.filter(ended_at=None, connection__removed_at=None)
    return Known(
        rows,
        dict(bound.values_list("action_type", "connection__name")) if rows else {},
        {state.name: state for state in ConnectionState.objects.all()},
        dict(ConnectionToken.objects.exclude(problem="").values_list("name", "problem")),
    )


def _route_of_row(row: Connection) -> Route:
    values: dict[str, str] = dict(row.values)
    problem, secrets = _known().ended.get(row.name, ""), {}
    try:
        secret = read_credential(row.credential_source, row.credential_name)
    except CredentialMissing as missing:
        secret, problem = _NO_SECRET, str(missing)
    name, read_secrets = secret_of(row.system), {}
    if name:
        secrets[name] = secret
        if for_reading := credential_for_reading(row.credential_source, row.credential_name):
            read_secrets[name] = for_reading
    elif secret:
        address = names_of(row.system)[0]
        secrets[address] = with_password(values[address], secret)
        archive = values.get("archive_url", "")
        if archive.startswith("imap") and urlsplit(archive).username:  # the same account reads it
            secrets["archive_url"] = with_password(archive, secret)
    return Route(
        name=row.name,
        system=row.system,
        values=values,
        secrets=secrets,
        read_secrets=read_secrets,
        source=f"{row.credential_source}:{row.credential_name}",
        problem=problem,
        owner=row.owner,
        calls_per_minute=row.calls_per_minute,
    )


def _from_environment(system: str) -> Route | None:
    if not is_configured(system):
        return None
    config = settings.CONNECTORS[system]
    names = names_of(system)
    secret = secret_of(system)
    variable = variable_of(system, secret or names[0])
    for_reading = os.environ.get(f"{variable}_READ", "").strip() if secret else ""
    return Route(
        name=system,
        system=system,
        values={name: without_password(config.get(name, "")) for name in names},
        secrets=config,
        read_secrets={secret: for_reading} if for_reading else {},
        source=f"{CredentialSource.ENVIRONMENT}:{variable}",
        is_from_environment=True,
    )
