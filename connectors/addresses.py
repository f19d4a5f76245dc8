"""Addresses of outside systems: where each comes from, and how one is shown and completed."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

from django.conf import settings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
_SANDBOX_DOMAINS = (".example", ".invalid", ".test")  # RFC 2606: nobody's real systems
_OTHER_VARIABLES = {
    ("email", "url"): "SMTP_URL",
    ("email", "sender"): "SMTP_SENDER",
    ("email", "archive_url"): "MAIL_ARCHIVE_URL",
}


def variable_of(system: str, name: str) -> str:
    """The environment variable that holds this value of `settings.CONNECTORS`."""
    usual = f"{system.upper()}_{'URL' if name in {'url', 'base_url'} else name.upper()}"
    return _OTHER_VARIABLES.get((system, name), usual)


def is_loopback(host: str) -> bool:
    """Whether nobody outside this machine can be meant; "" and paths are Unix sockets."""
    return host in _LOOPBACK or host.startswith(("127.", "/")) or host == ""


def is_trusted_relay(url: str) -> bool:
    """Whether TRUSTED_RELAYS names the address's host, with or without its port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host != "" and not {host, f"{host}:{parts.port}"}.isdisjoint(settings.TRUSTED_RELAYS)


def is_sandbox(url: str) -> bool:
    """Whether it leads to this machine, or to a name that is nobody's."""
    parts = urlsplit(url)
    if parts.scheme.startswith("sqlite"):
        return True
    host = parts.hostname or ""
    return is_loopback(host) or host.endswith(_SANDBOX_DOMAINS)


def without_password(address: str) -> str:
    """The address as it may be shown: no password, nothing behind a question mark."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if not (parts.password or parts.query or parts.fragment):
        return address
    user, at, host = parts.netloc.rpartition("@")
    shown = f"{user.partition(':')[0]}{at}{host}"
    return urlunsplit(parts._replace(netloc=shown, query="", fragment=""))


def with_password(address: str, password: str) -> str:
    """The address with the password its user signs in with."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
