"""Mistakes of deployment as system checks: every command, and the web server, refuses to start."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection

from audit.lib.money import MoneyError, exponent
from config.database_roles import is_bounded
from config.protection import missing
from connectors.addresses import is_loopback, is_sandbox, is_trusted_relay, variable_of
from connectors.configuration import unusable_values
from connectors.declared.file import Card, Scheme
from connectors.loading import SystemsError, load

_SANDBOX_CREDENTIALS = frozenset(
    {"sk_test_sandbox", "directory-sandbox", "changes-sandbox", "logistics-sandbox"}
)
LEASE_MARGIN = timedelta(seconds=5)
"""What a worker needs before and after the call, with the lease still its own."""
LONGEST_CALL_WITH_TOKENS = 3
"""Connector timeouts that a call takes at most where tokens are got: signing in first, the write,
and a new token where the system refused the one it was shown."""


@register(Tags.security)
def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """What must hold before anybody but the developer may use this."""
    found = [*_time_zones(), *_money(), *_pooler(), *unusable_systems(), *unusable_tools()]
    found += unusable_connections()
    if settings.DEBUG:
        return [*found, *_debug_stays_here()]
    found += _keys()
    found += _demo_stays_here() if settings.DEMO else _production()
    return found


@register(Tags.security, deploy=True)
def check_database(**kwargs: Any) -> list[CheckMessage]:
    """What the database should hold by itself; asked of it by `check --deploy` only."""
    found = []
    if settings.IS_POSTGRES and not is_bounded(connection):
        found.append(
            _warning(
                22,
                "The application connects as a role that can switch the trail's triggers off.",
                "Run manage.py harden_database, and set DATABASE_URL to the application's role.",
            )
        )
    if gone := missing(connection):
        found.append(
            _warning(
                23,
                f"{len(gone)} triggers are missing or switched off, such as {gone[0]}.",
                "Run manage.py migrate, which puts them back, and find out who took them away.",
            )
        )
    return found


def refuse_unsafe_start() -> None:
    """Raise ImproperlyConfigured for what the checks call an error.

    For processes that start without a management command, which would have run the checks.
    """
    errors = [message for message in check_deployment() if message.is_serious()]
    if errors:
        raise ImproperlyConfigured("\n".join(str(error) for error in errors))


def _error(number: int, message: str, hint: str) -> CheckMessage:
    return Error(message, hint=hint, id=f"countersign.E{number:03}")


def _warning(number: int, message: str, hint: str) -> CheckMessage:
    return Warning(message, hint=hint, id=f"countersign.W{number:03}")


def _money() -> Iterator[CheckMessage]:
    try:
        exponent(settings.BASE_CURRENCY)
    except MoneyError:
        yield _error(
            15,
            "BASE_CURRENCY is no currency, so no sums can be kept.",
            "Set it to an ISO 4217 code such as EUR.",
        )


def _pooler() -> Iterator[CheckMessage]:
    options = settings.DATABASES["default"].get("OPTIONS", {})
    if settings.DATABASE_TRANSACTION_POOLER and options.get("prepare_threshold") is not None:
        yield _error(
            26,
            "Statements are prepared behind a transaction pooler.",
            "Each transaction gets another session, which knows none of them: leave out "
            "DATABASE_PREPARE_THRESHOLD, or DATABASE_TRANSACTION_POOLER without such a pooler.",
        )


def _time_zones() -> Iterator[CheckMessage]:
    lease = settings.EXECUTION_LEASE
    calls = (
        LONGEST_CALL_WITH_TOKENS if any(c.authentication.scheme.has_tokens for c in _cards()) else 1
    )
    if lease <= calls * settings.CONNECTOR_TIMEOUT + LEASE_MARGIN:
        yield _error(
            11,
            "The execution lease ends before a call to the outside may.",
            f"EXECUTION_LEASE_SECONDS must exceed {calls} CONNECTOR_TIMEOUT_SECONDS by more "
            f"than {int(LEASE_MARGIN.total_seconds())}, or two workers may hold one execution.",
        )
    limit = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT)
    if not settings.CONNECTOR_TIMEOUT < limit < lease:
        yield _error(
            12,
            "The tasks' time limit does not lie between connector timeout and lease.",
            "Set TASK_TIME_LIMIT_SECONDS above CONNECTOR_TIMEOUT_SECONDS, so that ordinary calls "
            "end, and below EXECUTION_LEASE_SECONDS, so that a stuck worker is gone before "
            "another takes over.",
        )


def _keys() -> Iterator[CheckMessage]:
    for name in ("SECRET_KEY", "AUDIT_KEY"):
        key = getattr(settings, name)
        if len(key) < 32 or len(set(key)) < 10 or key.startswith(("debug-only", "django-insecure")):
            yield _error(1, f"{name} can be guessed.", "Use 48 random characters.")
    if settings.SECRET_KEY == settings.AUDIT_KEY:
        yield _error(
            1,
            "SECRET_KEY and AUDIT_KEY are the same.",
            "Who can sign a session must not thereby be able to forge the trail.",
        )
    if settings.AUDIT_KEY in settings.AUDIT_RETIRED_KEYS:
        yield _error(1, "AUDIT_KEY has been retired.", "Use a new key.")


def _debug_stays_here() -> Iterator[CheckMessage]:
    if settings.IS_POSTGRES:
        yield _error(
            17,
            "DEBUG is on beside PostgreSQL.",
            "DEBUG shows settings and code to whoever meets an error. Set DEBUG=0; to develop on "
            "PostgreSQL on this machine, DEMO=1.",
        )


def _demo_stays_here() -> Iterator[CheckMessage]:
    hosts = [settings.BIND_HOST, *settings.ALLOWED_HOSTS]
    if any(host == "" or not is_loopback(host) for host in hosts):
        yield _error(
            9,
            "DEMO is on and others could reach it.",
            "The demo has published passwords: BIND_HOST and ALLOWED_HOSTS must name this "
            "machine's loopback only. For real use set DEMO=0.",
        )
    if settings.IS_POSTGRES and not is_loopback(settings.DATABASES["default"]["HOST"]):
        yield _error(
            10,
            "DEMO is on and the database is on another machine.",
            "Demo data belongs into a database of its own, on this machine.",
        )


def _production() -> Iterator[CheckMessage]:
    hosts = settings.ALLOWED_HOSTS
    if not hosts or "*" in hosts or all(is_loopback(host) for host in hosts):
        yield _error(
            2,
            "ALLOWED_HOSTS does not name this installation.",
            "Set it to the host names people and agents use, never to *.",
        )
    yield from _connectors()
    broker_is_local = settings.BROKER_URL.startswith(("filesystem", "memory"))
    if broker_is_local and settings.IS_POSTGRES:
        yield _error(
            5,
            "PostgreSQL together with a broker that only this machine can see.",
            "Set BROKER_URL to a Redis address.",
        )
    if not settings.IS_POSTGRES:
        yield _warning(
            6,
            "SQLite serves one machine only.",
            "With a second web or worker host, use PostgreSQL: set DATABASE_URL.",
        )
    cookies = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY")
    if not all(getattr(settings, name) for name in cookies):
        yield _error(7, "Cookies may travel unprotected.", f"{', '.join(cookies)} must be on.")
    if not settings.SECURE_HSTS_SECONDS:
        yield _warning(
            8,
            "Browsers are not told to insist on HTTPS.",
            "Set SECURE_HSTS_SECONDS, small at first, unless the proxy sends the header.",
        )
    if not settings.BASE_URL.startswith("https://"):
        yield _warning(
            13, "Links in messages do not use HTTPS.", "Set BASE_URL to the address people use."
        )
    if settings.EMAIL_BACKEND.endswith(("console.EmailBackend", "locmem.EmailBackend")):
        yield _warning(
            14,
            "Nobody is notified of anything.",
            "Set EMAIL_URL, such as submission://user:password@mail:587.",
        )


def _connectors() -> Iterator[CheckMessage]:
    unusable = {(found.system, found.name) for found in unusable_values(settings.CONNECTORS)}
    for system, values in settings.CONNECTORS.items():
        for name, value in values.items():
            if (system, name) in unusable:
                continue  # named already
            if value in _SANDBOX_CREDENTIALS:
                yield _error(
                    4,
                    f"The {system} connector uses the sandbox's published credentials ({name}).",
                    "Give it its own, or leave the address out when you have no such system.",
                )
            elif "://" not in value or is_trusted_relay(value):
                continue
            elif value.startswith(("http://", "imap://", "ldap://")):
                yield _error(
                    18,
                    f"{variable_of(system, name)} begins with {value.partition(':')[0]}://, where "
                    "others read along.",
                    "Write https:// or ldaps://. For a relay or sidecar of your own that adds "
                    "TLS, put its host, as written there, in TRUSTED_RELAYS.",
                )
            elif is_sandbox(value):
                yield _error(
                    3,
                    f"The {system} connector's {name} leads to this machine.",
                    "Effects would go to the sandbox, or nowhere. Set the real system's address, "
                    "or leave it out when you have no such system. A relay or sidecar on this "
                    "machine is used when TRUSTED_RELAYS names its host.",
                )


def unusable_systems() -> Iterator[CheckMessage]:
    """One error per mistake in a system's file, or in what packages bring."""
    try:
        load(settings.SYSTEMS_PATH, settings.SYSTEMS)
    except SystemsError as error:
        for problem in error.problems:
            yield _error(27, problem, "Correct it, and see what manage.py check_system says.")


def unusable_tools() -> Iterator[CheckMessage]:
    """One error per action type that could not be a tool of agents; none before Django is set up.

    gunicorn's master asks that early, and every process it starts asks again.
    """
    if not apps.models_ready:
        return
    from approvals.mcp.tools import mistakes  # needs models

    try:
        for mistake in mistakes():
            yield _error(31, mistake, "Give one of them another key or param.")
    except SystemsError:
        return  # said already


def unusable_connections() -> Iterator[CheckMessage]:
    """One error per value. It is not repeated: addresses may hold passwords."""
    for found in unusable_values(settings.CONNECTORS):
        if (found.system, found.name) in _needing_no_credential():
            continue
        variable = variable_of(found.system, found.name)
        yield Error(
            f"{variable} {found.reason}.",
            hint=f"Correct it, or leave out everything of the system {found.system}: then it is "
            "off and offers no action types.",
            id="countersign.E016",
        )


def _needing_no_credential() -> set[tuple[str, str]]:
    schemes = {card.system: card.authentication.scheme for card in _cards()}
    return {(system, "token") for system, scheme in schemes.items() if scheme is Scheme.NONE}


def _cards() -> list[Card]:
    """What the files of this installation's systems say of them."""
    try:
        found = load(settings.SYSTEMS_PATH, settings.SYSTEMS).systems.values()
    except SystemsError:  # said elsewhere
        return []
    return [one.card for one in found if one.card]


@register(Tags.security)
def check_somebody_gives_roles(**kwargs: Any) -> list[CheckMessage]:
    """W020 while there is no ops admin. A database that is not there yet has nobody to miss."""
    # Here, because servers look at these checks before the apps are set up.
    from policies.models import User
    from policies.services.first_people import somebody_gives_roles

    if settings.DEBUG or settings.DEMO:
        return []
    try:
        if User._meta.db_table not in connection.introspection.table_names():
            return []
        if somebody_gives_roles():
            return []
    except OperationalError:  # checks run where images are built, too; /readyz says it
        return []
    return [
        Warning(
            "Nobody can give roles: there is no ops admin.",
            hint="Create the first two: manage.py first_people NAME=mail NAME=mail.",
            id="countersign.W020",
        )
    ]
