"""Typed configuration from the environment; a value that cannot be used stops the start.

`var/countersign.env` (written once by `python -m config.local_env`) supplies what the environment
leaves out, so that commands run by hand on a laptop find the same keys as `make demo`. What needs
more than a type is refused in a sentence with what to write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured
from environs import Env

from connectors.addresses import variable_of
from connectors.declared.files import EVERYBODYS, FolderError, names, product_files
from connectors.protocols import PROTOCOLS

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
VAR_DIR: Path = Path(env.str("COUNTERSIGN_VAR", str(BASE_DIR / "var")))
env.read_env(str(VAR_DIR / "countersign.env"), recurse=False, override=False)


_RATE = re.compile(r"\A[1-9][0-9]{0,8}/(s|sec|m|min|h|hour|d|day)\Z")
_BROKERS = ("redis://", "rediss://", "filesystem://", "memory://")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def a_port(name: str, default: int) -> int:
    """A TCP port."""
    port: int = env.int(name, default)
    if not 0 < port < 65_536:
        raise ImproperlyConfigured(f"{name} must be from 1 to 65535, such as {name}={default}.")
    return port


def a_rate(name: str, default: str) -> str:
    """So many calls in a time, as the throttles write it."""
    rate: str = env.str(name, default)
    if not _RATE.match(rate):
        raise ImproperlyConfigured(f"{name} must be a number per sec, min, hour or day: {default}.")
    return rate


def a_secret(name: str, *, needed: bool) -> str:
    """A key nobody can guess; where it is not needed, a published one takes its place."""
    value: str = env.str(name, "")
    if not value and not needed:
        return f"debug-only-{name.lower()}-".ljust(48, "x")
    if len(value) < 32:
        raise ImproperlyConfigured(
            f"{name} must be set to at least 32 random characters "
            "(python -m config.local_env writes local ones to var/countersign.env)."
        )
    return value


def a_key(name: str) -> str:
    """A key nobody can guess, for what not every installation has; "" where it is not set."""
    return a_secret(name, needed=True) if env.str(name, "") else ""


def broker_url(default: str) -> str:
    """Celery's broker."""
    url: str = env.str("BROKER_URL", default)
    if not url.startswith(_BROKERS):
        raise ImproperlyConfigured(
            "BROKER_URL must begin with redis://, rediss:// or filesystem://."
        )
    return url


def email_settings(default: str) -> dict[str, Any]:
    """Django's EMAIL_* from one address."""
    found: dict[str, Any] = env.dj_email_url("EMAIL_URL", default)
    if "EMAIL_BACKEND" not in found:  # the parser lets an unknown scheme pass as nothing
        raise ImproperlyConfigured(
            "EMAIL_URL must begin with submission://, smtp:// or console://."
        )
    found["EMAIL_TIMEOUT"] = found["EMAIL_TIMEOUT"] or 10  # seconds; a task would wait for ever
    host = urlsplit(env.str("EMAIL_URL", default)).hostname  # the parser puts localhost for none
    if found["EMAIL_BACKEND"].endswith("smtp.EmailBackend") and not host:
        raise ImproperlyConfigured("EMAIL_URL names no host; write smtp://user:password@mail:587.")
    return found


def log_level(default: str) -> str:
    """One of logging's levels."""
    level: str = env.str("LOG_LEVEL", default)
    if level not in _LEVELS:
        raise ImproperlyConfigured(f"LOG_LEVEL must be one of {', '.join(_LEVELS)}.")
    return level


def sweep_seconds(default: float) -> float:
    """Seconds between two sweeps."""
    seconds: float = env.float("SWEEP_SECONDS", default)
    if not 0.1 <= seconds <= 3600:
        raise ImproperlyConfigured("SWEEP_SECONDS must be from 0.1 to 3600.")
    return seconds


def networks(written: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks in CIDR notation."""
    try:
        return tuple(ip_network(one) for one in written)
    except ValueError as error:
        raise ImproperlyConfigured(f"Write networks such as 10.20.0.0/16: {error}.") from None


def time_zone(default: str) -> str:
    """A zone of the IANA database."""
    zone: str = env.str("TIME_ZONE", default)
    if zone not in available_timezones():
        raise ImproperlyConfigured(
            f"TIME_ZONE is no time zone; write one such as {default} or UTC."
        )
    return zone


def systems_named(folders: Sequence[str]) -> tuple[str, ...]:
    """The product's files of vendors that this installation has: named, or with an address.

    A file of the same name in one of its own folders takes the place of ours.
    """
    named: list[str] = env.list("SYSTEMS", [])
    own = {file.stem for folder in folders for file in Path(folder).glob("*.yaml")}
    known = {*product_files(), *PROTOCOLS}
    with_address = {name for name in known if env.str(f"{name.upper()}_URL", "")}
    return tuple(sorted({*named, *(with_address - own)} - EVERYBODYS))


def systems_from_environment(
    folders: Sequence[str], named: Sequence[str], *, sandbox: bool, first_port: int
) -> dict[str, dict[str, str]]:
    """`settings.CONNECTORS`; `sandbox` is for DEBUG and DEMO.

    A system that is a file has its address in <SYSTEM>_URL and its credential in <SYSTEM>_TOKEN.
    """

    def value(name: str, of_sandbox: str) -> str:
        found: str = env.str(name, of_sandbox if sandbox else "")
        return found

    def address(name: str, port: int, scheme: str = "http") -> str:
        return value(name, f"{scheme}://127.0.0.1:{first_port + port}")

    known = {
        "payments": {
            "base_url": address("PAYMENTS_URL", 0),
            "api_key": value("PAYMENTS_API_KEY", "sk_test_sandbox"),
        },
        "email": {
            "url": address("SMTP_URL", 1, "smtp"),
            "sender": value("SMTP_SENDER", "service@retailer.example"),
            "archive_url": address("MAIL_ARCHIVE_URL", 2),
        },
        "records": {"url": value("RECORDS_URL", f"sqlite:///{VAR_DIR / 'records.sqlite3'}")},
        "directory": {
            "base_url": address("DIRECTORY_URL", 3),
            "token": value("DIRECTORY_TOKEN", "directory-sandbox"),
        },
        "changes": {
            "base_url": address("CHANGES_URL", 4),
            "token": value("CHANGES_TOKEN", "changes-sandbox"),
        },
        "logistics": {
            "base_url": address("LOGISTICS_URL", 5),
            "token": value("LOGISTICS_TOKEN", "logistics-sandbox"),
        },
    }
    for name in PROTOCOLS.keys() & set(named):
        protocol = PROTOCOLS[name]
        stated = filter(None, (*protocol.values, protocol.secret))
        known[name] = {
            one: env.str(variable_of(name, one), protocol.defaults.get(one, "")) for one in stated
        }
    try:
        others = [name for name in names(folders, named) if name not in known]
    except FolderError as error:
        raise ImproperlyConfigured(str(error)) from error
    for name in others:
        base_url, token = (env.str(f"{name.upper()}_{part}", "") for part in ("URL", "TOKEN"))
        known[name] = {"base_url": base_url, "token": token}
    return known
