"""The systems of this installation: which it has, whether their settings can work, who answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from connectors import http
from connectors.adapters.email.client import SMTP_PORTS, SmtpClient
from connectors.adapters.email.connector import archive_at
from connectors.adapters.email.imap import IMAP_PORTS, ImapArchive
from connectors.adapters.iam.client import IamClient
from connectors.adapters.ldap.client import LDAP_PORTS, LdapClient
from connectors.adapters.records.client import RecordsClient, with_driver
from connectors.addresses import with_password

_ADDRESSES = ("base_url", "url", "archive_url")
_HTTP_SCHEMES = ("http", "https")
_SCHEMES = {
    ("email", "archive_url"): (*_HTTP_SCHEMES, *IMAP_PORTS),
    ("email", "url"): tuple(SMTP_PORTS),
    ("ldap", "url"): tuple(LDAP_PORTS),
}


@dataclass(frozen=True, slots=True)
class Unusable:
    """One value that no connector could work with, and why in a sentence."""

    system: str
    name: str  # "base_url"
    reason: str


def is_configured(system: str) -> bool:
    """Whether the installation has such a system: its addresses are set, none is empty."""
    addresses = _addresses(settings.CONNECTORS.get(system, {}))
    return bool(addresses) and all(addresses.values())


def unusable_values(connectors: Mapping[str, Mapping[str, str]]) -> Iterator[Unusable]:
    """What is set and cannot work: half of a system, or an address nobody could call.

    A system whose addresses are all empty is one the installation does not have: nothing is
    wrong with it.
    """
    for system, values in connectors.items():
        addresses = _addresses(values)
        if not any(addresses.values()):
            continue
        for name, value in values.items():
            if not value:
                yield Unusable(system, name, "is empty although the system's address is set")
            elif name in addresses and (reason := _why_unusable(system, name, value)):
                yield Unusable(system, name, reason)


def _addresses(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name in _ADDRESSES}


def _why_unusable(system: str, name: str, address: str) -> str:
    if system == "records" or is_database(address):
        return _no_database(address)
    schemes = _SCHEMES.get((system, name), _HTTP_SCHEMES)
    if address != address.strip() or not address.isprintable():
        return "has spaces or control characters around or in it"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is no address ({error})"
    if parts.scheme not in schemes:
        return f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    return "" if host else "names no host"


def is_database(address: str) -> bool:
    """Whether it is the address of a database: of a system whose file lists tables."""
    return address.partition("://")[0].partition("+")[0] in _DATABASES


_DATABASES = frozenset({"postgresql", "sqlite", "mysql", "mariadb"})


def _no_database(address: str) -> str:
    """Parsed and its driver imported, as the connector would; nothing is connected to."""
    try:
        with_driver(make_url(address)).get_dialect().import_dbapi()
    except (SQLAlchemyError, ValueError):
        return "is no database address, such as postgresql://user:password@host/name"
    except ImportError as error:
        return f"needs a driver that is not installed ({error.name})"
    return ""


def look_at(system: str, values: Mapping[str, str]) -> None:
    """Whether a system answers under these values: a cheap look, within one connector timeout.

    Raises ConnectorError, httpx.HTTPError, OSError or smtplib.SMTPException when it does not.
    """
    if is_database(values.get("base_url", "")):
        _look_at_database(values)
    else:
        _LOOKS.get(system, _look_at_http)(values)


def _look_at_http(values: Mapping[str, str]) -> None:
    """Any answer below 500 is one: whether we may read is found out by reading."""
    with http.open_client() as client:
        response = client.get(values["base_url"])
    if response.status_code >= 500:
        raise httpx.HTTPError(f"answered {response.status_code}")


def _look_at_mail(values: Mapping[str, str]) -> None:
    SmtpClient(values["url"], values["sender"]).greet()
    archive = archive_at(values["archive_url"])
    if isinstance(archive, ImapArchive):
        archive.greet()
    else:
        _look_at_http({"base_url": values["archive_url"]})


def _look_at_database(values: Mapping[str, str]) -> None:
    url, password = values["base_url"], values.get("token", "")
    RecordsClient(with_password(url, password) if password else url).ping()


def _look_at_records(values: Mapping[str, str]) -> None:
    RecordsClient(values["url"]).ping()


def _look_at_iam(values: Mapping[str, str]) -> None:
    with IamClient(values["base_url"], values["token"], values["allowed"]).session():
        pass  # the library it needs is there
    _look_at_http(values)


def _look_at_ldap(values: Mapping[str, str]) -> None:
    with LdapClient(values["url"]).session():
        pass


_LOOKS: Mapping[str, Callable[[Mapping[str, str]], None]] = {
    "email": _look_at_mail,
    "iam": _look_at_iam,
    "ldap": _look_at_ldap,
    "records": _look_at_records,
}
